"""Memory that a checkpoint takes in each process: ``python -m benchmarks.shared_checkpoints``.

One, two and four processes begin a training of many users and few ratings, and each saves its part
of a checkpoint. Prints by how much the largest process grows meanwhile, beside the bytes of all
rows; and the same of gathering all rows in each process for one file, which the first one writes.
Linux only.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.harness.memory import memory
from benchmarks.harness.processes import free_port
from benchmarks.harness.program import make_parser, write_result
from pipeline.common.hardware import describe_hardware

USERS, ITEMS, RATINGS = 200_000, 5000, 400_000
FACTORS: Final = 128
RESET: Final = Path("/proc/self/clear_refs")


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    options = parser.parse_args()
    rows = (USERS + ITEMS) * FACTORS * 4
    print(f"all rows: {rows / 1e6:.0f} MB")
    runs = []
    for count in options.processes:
        found = _in_processes(count)
        runs.append({"processes": count} | found)
        parts = ", ".join(f"{name}: {grown / rows:.2f}" for name, grown in found.items())
        print(f"{count} processes grow by, times these bytes: {parts}", flush=True)
    write_result(options.json, {"rows": rows, "runs": runs, "hardware": describe_hardware()})


def _in_processes(count: int) -> dict[str, int]:
    """Return by how many bytes the process grows that grows most, for each way to save."""
    place = f"127.0.0.1:{free_port()}", count
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool,
    ):
        started = [pool.submit(_measure, Path(folder), *place, rank) for rank in range(count)]
        grown = [process.result() for process in started]
    return {name: max(each[name] for each in grown) for name in grown[0]}


def _measure(folder: Path, coordinator: str, count: int, rank: int) -> dict[str, int]:
    import jax

    if count > 1:
        jax.distributed.initialize(coordinator, count, rank, cluster_detection_method="deactivate")
    from mascot_jax.distributed.workers import Workers
    from mascot_jax.engine.devices import computing_on
    from mascot_jax.engine.kernels import Execution
    from mascot_jax.training.checkpoint import Checkpoints
    from mascot_jax.training.fingerprint import fingerprint
    from mascot_jax.training.loop import begin
    from mascot_jax.training.records import Progress
    from mascot_jax.training.runner import Alone
    from mascot_jax.training.shared import SharedTraining

    with computing_on(jax.local_devices(backend="cpu")[0]):
        prepared = _prepared()
        identity = fingerprint(prepared)
        if count == 1:
            alone = Alone(prepared, Execution(1))
            progress, checkpoints = begin(prepared), Checkpoints(folder / "one", 1, identity)
            return {"one file": _growth(lambda: alone.save(progress, checkpoints))}
        workers = Workers.of_processes()
        shared = SharedTraining(prepared, Execution(1), workers)
        state = shared.begin(begin(prepared).state)
        in_parts = Checkpoints(folder / "parts", 1, identity, workers=workers)
        in_one = Checkpoints(folder / "one", 1, identity)

        def gather() -> None:
            whole = Progress(shared.whole(state))
            if workers.leads:
                in_one.save(whole)

        return {
            "a part of each": _growth(lambda: shared.save(Progress(state), in_parts)),
            "one file of all": _growth(gather),
        }


def _prepared() -> Any:
    from mascot_jax.engine.kernels import Execution
    from mascot_jax.settings import TrainSettings
    from mascot_jax.tables.groups import regroup
    from mascot_jax.training.problem import make_problem, prepare

    rng = np.random.default_rng(0)
    users, items = (rng.permutation(np.arange(RATINGS) % n) for n in (USERS, ITEMS))
    columns = users.astype(np.uint32), items.astype(np.uint32)
    ratings = rng.uniform(1, 5, RATINGS).astype(np.float32)
    counts = (np.bincount(column) for column in columns)
    problem = make_problem((*columns, ratings), *(regroup(count, 100) for count in counts))
    settings = TrainSettings(method="fp32", factors=FACTORS, deterministic=True)
    return prepare(problem, problem.plan(settings, "cpu"), Execution(1))


def _growth(save: Callable[[], None]) -> int:
    """Return by how many bytes this process's memory grows at most while it saves."""
    RESET.write_text("5", encoding="ascii")  # the peak is what is in use now
    before = memory("VmRSS")
    save()
    return memory("VmHWM") - before


if __name__ == "__main__":
    main()
