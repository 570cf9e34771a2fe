"""Ratings on disk: memory, and time beside the disk's: ``python -m benchmarks.out_of_core``.

Ratings of Netflix's shape are generated chunk by chunk, and trained on with ``run.scratch``, in a
process that may take no more memory of its own than ``--limit`` (RLIMIT_DATA). Before each epoch
the system forgets what it has cached of the ratings' file, and so before a file of the same size is
read from front to back, for the disk's bandwidth. With ``--compare`` another process trains on the
same ratings in memory: both models must have the same bytes. It then runs epochs in memory, on disk
and on disk uncached in turn.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.memory import OwnMemory
from benchmarks.harness.netflix import CHUNK, ITEMS, USERS
from benchmarks.harness.program import make_parser, write_result
from pipeline.common.hardware import describe_hardware

if TYPE_CHECKING:
    from mascot_jax.training.problem import Prepared

ROUNDS: Final = 5
BYTES: Final = 12
"""Of a rating in the file."""


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--ratings", type=int, default=50_000_000)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--scratch", default=tempfile.gettempdir(), help="folder of the ratings")
    parser.add_argument("--limit", type=float, help="GB of memory of its own")
    parser.add_argument("--compare", action="store_true", help="train in memory as well")
    options = parser.parse_args()
    bandwidth = _bandwidth(options.scratch, options.ratings * BYTES)
    sys.stdout.write(f"disk: {bandwidth / 1e6:,.0f} MB/s\n")
    runs = [_in_a_process(_train, options)]
    run = runs[0]
    sys.stdout.write(
        f"on disk: prepared in {run['prepared']:.1f} s, epochs of {run['epoch']:.2f} s, "
        f"{run['peak'] / 1e6:,.0f} MB of its own at most\n"
        f"an epoch takes {run['epoch'] * bandwidth / options.ratings / BYTES:.1f} times as long as "
        "reading\n"
    )
    if options.compare:
        runs.append(_in_a_process(_compare, options))
        if runs[0]["digest"] != runs[1]["digest"]:
            raise SystemExit("the models differ")
        sys.stdout.write("the model is that of a training in memory\n")
        for way in ("on disk", "uncached"):
            wall, cpu = (runs[1][way][i] / runs[1]["in memory"][i] for i in (0, 1))
            sys.stdout.write(f"{way}: {wall:.2f} of the time in memory, {cpu:.2f} of CPU time\n")
    asked = {name: value for name, value in vars(options).items() if name != "json"}
    result = {"hardware": describe_hardware(), "bandwidth": bandwidth, "runs": runs}
    write_result(options.json, asked | result)


def _bandwidth(folder: str, size: int) -> float:
    """Return the bytes a second of reading a file from front to back that is not cached."""
    chunk = np.random.default_rng(0).integers(0, 256, 1 << 24, dtype=np.uint8).tobytes()
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(-(-size // len(chunk))):
            file.write(chunk)
        _forget(file.fileno())
        file.seek(0)
        buffer, start = bytearray(1 << 22), time.perf_counter()
        while file.readinto(buffer):
            pass
        return file.tell() / (time.perf_counter() - start)


def _forget(handle: int) -> None:
    os.fsync(handle)
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)


def _in_a_process(work: Callable[[dict[str, Any]], dict[str, Any]], options: Any) -> dict[str, Any]:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, vars(options)).result()


class Generated:
    """Ratings that are generated anew each time they are read; each user and item has some."""

    def __init__(self, size: int) -> None:
        from mascot_jax.ids.column import Column

        self.size = size
        self.users = Column("user", min(USERS, size), np.arange(USERS).__getitem__)
        self.items = Column("item", min(ITEMS, size), np.arange(ITEMS).__getitem__)

    def parts(self) -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[np.float32]]]:
        """Yield users, items and ratings."""
        for number, start in enumerate(range(0, self.size, CHUNK)):
            rng, size = np.random.default_rng(number), min(CHUNK, self.size - start)
            users = (rng.random(size) ** 2 * USERS).astype(np.int64)
            items = (rng.random(size) ** 3 * ITEMS).astype(np.int64)
            if number == 0:  # each once
                users[:USERS] = np.arange(USERS)[:size]
                items[:ITEMS] = np.arange(ITEMS)[:size]
            yield users, items, rng.integers(1, 6, size).astype(np.float32)


def _train(options: dict[str, Any]) -> dict[str, Any]:
    """Train on disk, under the limit."""
    if options["limit"] is not None:
        limit = int(options["limit"] * 1e9)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    seconds: list[float] = []
    file: list[int] = []
    begun, prepared = time.perf_counter(), 0.0

    def on_start(made: Prepared) -> None:
        nonlocal prepared
        prepared = time.perf_counter() - begun
        assert made.ratings.scratch is not None
        file.append(made.ratings.scratch.fileno())
        _forget(file[0])

    def on_epoch(record: Any, _: Any) -> bool:
        seconds.append(record.seconds)
        _forget(file[0])
        return False

    with OwnMemory() as own:
        digest = _fit(options, options["scratch"], on_start, on_epoch)
    return {
        "prepared": prepared,
        "epoch": median(seconds[1:] or seconds),  # the first one waits for a compiler
        "peak": own.peak(),
        "digest": digest,
    }


def _fit(
    options: dict[str, Any],
    scratch: str | None,
    on_start: Callable[[Prepared], None],
    on_epoch: Callable[[Any, Any], bool],
) -> str:
    """Train, and return the digest of the model's file."""
    from mascot_jax.mf.fit import fit_ratings
    from mascot_jax.mf.interactions import read_interactions
    from mascot_jax.mf.model_file import save_model
    from mascot_jax.settings import RegroupSettings, RunSettings, TrainSettings
    from mascot_jax.settings.defaults import with_defaults

    ratings: Any = Generated(options["ratings"])
    if scratch is None:
        ratings = read_interactions(tuple(map(np.concatenate, zip(*ratings.parts(), strict=True))))
    settings = {"factors": options["factors"], "epochs": options["epochs"]}
    model = fit_ratings(
        ratings,
        TrainSettings(**with_defaults(settings)),
        RegroupSettings(),
        RunSettings(scratch=scratch, threads=options["threads"]),
        on_start=on_start,
        on_epoch=on_epoch,
    )
    with tempfile.TemporaryDirectory() as folder:
        return save_model(model, Path(folder) / "model")


def _compare(options: dict[str, Any]) -> dict[str, Any]:
    """Train in memory; then run epochs in memory and on disk in turn: seconds, and CPU seconds."""
    from mascot_jax.engine.cores import usable_cores
    from mascot_jax.engine.kernels import Execution
    from mascot_jax.training.loop import begin
    from mascot_jax.training.on_disk import OnDisk
    from mascot_jax.training.runner import Alone

    made: list[Prepared] = []
    digest = _fit(options, None, made.append, lambda *_: False)
    _fit(options, options["scratch"], made.append, lambda *_: True)
    execution = Execution(options["threads"] or usable_cores())
    scratch = made[1].ratings.scratch
    assert scratch is not None
    runners = Alone(made[0], execution), OnDisk(made[1], execution)
    states = [begin(each).state for each in made]
    seconds: dict[str, list[tuple[float, float]]] = {}
    for _ in range(ROUNDS):
        for way, place in (("in memory", 0), ("on disk", 1), ("uncached", 1)):
            if way == "uncached":
                _forget(scratch.fileno())
            start = time.perf_counter(), time.process_time()
            states[place], _ = runners[place].epoch(states[place])
            end = time.perf_counter(), time.process_time()
            seconds.setdefault(way, []).append((end[0] - start[0], end[1] - start[1]))
    return {"digest": digest} | {
        way: [median(times) for times in zip(*rounds, strict=True)]
        for way, rounds in seconds.items()
    }


if __name__ == "__main__":
    main()
