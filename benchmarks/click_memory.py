"""Peak memory of ``ClickModel.fit`` beyond its tables and data.

``python -m benchmarks.click_memory``. Each preset trains one epoch in a process of its own, on ids
as unevenly frequent as Criteo's. What is left of the peak, without the data, the tables in training
and, where these are packed at the end, the packed ones, is Python's, JAX's, that of compiled
programs and of batches. Exit status 1 says that it is above 500 MiB.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.clicks import make_workload
from benchmarks.harness.program import make_parser, write_result
from benchmarks.harness.targets import Target, exit_if_missed
from mascot_jax.settings.clicks import CLICK_PRESETS
from pipeline.common.hardware import describe_hardware

MIB: Final = 2**20
MOST: Final = 500


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--rows", type=float, default=16e6, help="of all tables (%(default)g)")
    parser.add_argument("--impressions", type=int, default=100_000, help="(%(default)s)")
    parser.add_argument("--batch", type=int, default=128, help="(%(default)s)")
    parser.add_argument("--presets", nargs="+", choices=CLICK_PRESETS, default=list(CLICK_PRESETS))
    options = parser.parse_args()
    asked = int(options.rows), options.impressions, options.batch
    runs = [_in_process(preset, *asked) for preset in options.presets]
    for run in runs:
        sys.stdout.write(
            f"{run['preset']:5} tables {run['tables']:6.0f}, packed {run['packed']:4.0f}, data "
            f"{run['data']:5.0f}, peak {run['peak']:6.0f}: {run['beyond']:4.0f} MiB beyond\n"
        )
    report = Target("MiB beyond tables and data", max(r["beyond"] for r in runs), MOST).report()
    write_result(options.json, {"hardware": describe_hardware(), "runs": runs})
    exit_if_missed([report])


def _in_process(preset: str, rows: int, impressions: int, batch: int) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_measure, (preset, rows, impressions, batch))


def _measure(preset: str, rows: int, impressions: int, batch: int) -> dict[str, Any]:
    from mascot_jax import ClickModel
    from mascot_jax.clicks.data import ClickData

    work = make_workload(rows, impressions, 1)
    counts = tuple(
        np.bincount(ids, minlength=size).astype(np.int64)
        for ids, size in zip(work.categories[0].T, work.rows, strict=True)
    )
    data = ClickData(work.labels[0], work.dense[0], work.categories[0], work.rows, counts)
    held: list[NDArray[Any]] = [data.labels, data.dense, data.categories, *data.counts]
    model = ClickModel(preset=preset, epochs=1, batch_size=batch)
    model.fit(data, data.take(slice(0, impressions // 10)))
    found = {
        "tables": model.model_.training_bytes / MIB,
        "packed": model.model_.deployed_bytes / MIB if preset == "dqrm" else 0,
        "data": sum(array.nbytes for array in held) / MIB,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB,
    }
    beyond = found["peak"] - found["tables"] - found["packed"] - found["data"]
    return {"preset": preset, **found, "beyond": beyond}


if __name__ == "__main__":
    main()
