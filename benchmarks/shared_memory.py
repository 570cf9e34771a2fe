"""Memory of processes that share a training: ``python -m benchmarks.shared_memory``.

Ratings of Netflix's shape are generated chunk by chunk into a Parquet file. One, two and four
processes, of a thread each, train on it: in memory, and with ``run.scratch``, where each process
reads the file piece by piece and has files of its own. Prints the most memory of its own, without
mapped files, that a process takes while ratings are read (with scratch only their ids), prepared,
divided and trained on, and while the model is made. Each may take no more than ``--limit``
(RLIMIT_DATA). Exit status 1 says that the models' bytes differ.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.harness.memory import OwnMemory, memory
from benchmarks.harness.netflix import write_generated
from benchmarks.harness.processes import free_port
from benchmarks.harness.program import make_parser, write_result
from pipeline.common.hardware import describe_hardware

WAYS: Final = "memory", "scratch"
FIGURES: Final = "reading", "preparing", "training", "model"


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--ratings", type=int, default=20_000_000)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--factors", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="for all files")
    parser.add_argument("--limit", type=float, help="GB of memory of its own, of each process")
    options = parser.parse_args()
    runs = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        file = Path(folder) / "ratings.parquet"
        write_generated(file, options.ratings)
        for way, count in itertools.product(options.ways, options.processes):
            runs.append({"way": way, "processes": count} | _in_processes(options, file, way, count))
            print(_line(runs[-1]), flush=True)
    asked = {name: value for name, value in vars(options).items() if name not in ("json", "folder")}
    write_result(options.json, asked | {"hardware": describe_hardware(), "runs": runs})
    if len({run["digest"] for run in runs}) > 1:
        raise SystemExit("the models differ")
    print("all models have the same bytes")


def _line(run: dict[str, Any]) -> str:
    own = ", ".join(f"{name} {run[name] / 1e6:,.0f} MB" for name in FIGURES)
    return (
        f"in {run['way']}, {run['processes']} processes: {own}; prepared in {run['prepared']:.0f} "
        f"s, epochs of {run['epoch']:.1f} s"
    )


def _in_processes(options: argparse.Namespace, file: Path, way: str, count: int) -> dict[str, Any]:
    """Return the model's digest, and the highest of each figure of the processes."""
    place = f"127.0.0.1:{free_port()}", count
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        started = [
            pool.submit(_train, vars(options), file, way, *place, rank) for rank in range(count)
        ]
        found = [process.result() for process in started]
    highest = {name: max(each[name] for each in found) for name in found[0] if name != "digest"}
    return highest | {"digest": found[0]["digest"]}


def _train(
    options: dict[str, Any], file: Path, way: str, coordinator: str, count: int, rank: int
) -> dict[str, Any]:
    """Train, alone or among others; return bytes, seconds and the digest of the model's file."""
    if options["limit"] is not None:
        limit = int(options["limit"] * 1e9)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    from mascot_jax.data import open_ratings, read_ratings
    from mascot_jax.distributed.join import Place
    from mascot_jax.distributed.program import joined
    from mascot_jax.mf.fit import fit_ratings
    from mascot_jax.mf.interactions import read_interactions
    from mascot_jax.mf.model_file import save_model
    from mascot_jax.settings import RegroupSettings, RunSettings, TrainSettings
    from mascot_jax.settings.defaults import with_defaults

    own, found, seconds = OwnMemory(), dict[str, Any](), list[float]()
    begun = time.perf_counter()

    def on_start(_: object) -> None:
        found["prepared"], found["preparing"] = time.perf_counter() - begun, own.peak()

    def on_epoch(record: Any, _: object) -> bool:
        seconds.append(record.seconds)
        if len(seconds) == options["epochs"]:
            found["training"] = own.peak()
        return False

    settings = {"factors": options["factors"], "epochs": options["epochs"], "rotations": 2}
    with ExitStack() as stack:
        stack.enter_context(own)
        place = Place(coordinator, count, rank)
        workers = stack.enter_context(joined(place, lambda _: 1)) if count > 1 else None
        ratings: Any
        if way == "scratch":
            ratings = stack.enter_context(open_ratings(file))
        else:
            ratings = read_interactions(read_ratings(file))
        found["reading"] = own.peak()
        model = fit_ratings(
            ratings,
            TrainSettings(**with_defaults(settings)),
            RegroupSettings(),
            RunSettings(scratch=os.fspath(file.parent) if way == "scratch" else None, threads=1),
            on_start=on_start,
            on_epoch=on_epoch,
            workers=workers,
        )
        if rank == 0:
            found["digest"] = save_model(model, file.parent / "model")
        found["model"] = own.peak()
    return {"digest": None, "epoch": median(seconds), "resident": memory("VmHWM")} | found


if __name__ == "__main__":
    main()
