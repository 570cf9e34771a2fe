"""Peak memory of ``MatrixFactorization.fit`` on a pandas frame: ``python -m benchmarks.memory``.

Frames of two sizes with the Netflix Prize's users and items are fitted for one epoch, each in a
process of its own, whose peak holds the frame and everything else. The line through the two gives
the bytes of a rating and the ratio at the Prize's own size, without as much memory. Exit status 1
says that it is above 2.5 times the frame. With ``--processes 1 2 4`` so many processes share each
training, and the peak is that of the largest one. With ``--split`` the pipeline's stage ``split``
divides such ratings instead, and status 1 says that it takes more than 24 bytes a rating.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.harness.memory import memory
from benchmarks.harness.processes import free_port
from benchmarks.harness.program import make_parser, write_result
from benchmarks.harness.targets import Target, exit_if_missed
from benchmarks.harness.timing import timed
from mascot_jax.base.arrays import parts
from mascot_jax.settings import SplitSettings
from pipeline.common.hardware import describe_hardware
from pipeline.common.paths import DataFolder, write_json
from pipeline.split import split_folder

USERS, ITEMS, RATINGS = 480_189, 17_770, 100_480_507
LARGEST_ID: Final = 2_649_429
MOST_TIMES: Final = 2.5
MOST_OF_SPLIT: Final = 24.0
CHUNK: Final = 1 << 20


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--ratings", type=int, nargs=2, default=(5_000_000, 20_000_000))
    parser.add_argument("--processes", type=int, nargs="+", default=[1])
    parser.add_argument("--dtype", default="float32", help="of the column of ratings")
    parser.add_argument("--factors", type=int, default=128)
    parser.add_argument(
        "--split",
        action="store_true",
        help="measure the stage split, at --ratings",
    )
    options = parser.parse_args()
    if options.split:
        _report_split(options)
        return
    runs, ratios = [], {}
    for count in options.processes:
        small, large = (
            _in_processes(count, ratings, options.dtype, options.factors)
            for ratings in options.ratings
        )
        for run in (small, large):
            runs.append({"processes": count} | run)
            print(
                f"{count} processes, {run['ratings']:12,} ratings: frame {run['frame'] / 1e6:7.0f} "
                f"MB, peak {run['peak'] / 1e6:7.0f} MB, {run['seconds']:.0f} s",
                flush=True,
            )
        slope = (large["peak"] - small["peak"]) / (large["ratings"] - small["ratings"])
        peak = large["peak"] + slope * (RATINGS - large["ratings"])
        ratios[count] = peak / (large["frame"] / large["ratings"] * RATINGS)
        sys.stdout.write(
            f"{count} processes: {slope:.1f} bytes a rating; at {RATINGS:,} ratings "
            f"{peak / 1e9:.2f} GB\n"
        )
    asked = {name: value for name, value in vars(options).items() if name != "json"}
    result = asked | {"hardware": describe_hardware(), "runs": runs, "ratios": ratios}
    write_result(options.json, result)
    targets = [
        Target(f"{count} processes: times the frame", ratio, MOST_TIMES)
        for count, ratio in ratios.items()
    ]
    exit_if_missed([target.report() for target in targets])


def _in_processes(count: int, ratings: int, dtype: str, factors: int) -> dict[str, Any]:
    """Return what the process with the highest peak measured."""
    place = f"127.0.0.1:{free_port()}", count
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        started = [
            pool.submit(_measure, ratings, dtype, factors, *place, rank) for rank in range(count)
        ]
        return max((process.result() for process in started), key=lambda run: run["peak"])


def _measure(
    ratings: int, dtype: str, factors: int, coordinator: str, count: int, rank: int
) -> dict[str, Any]:
    import jax
    import pandas as pd

    from mascot_jax import MatrixFactorization

    if count > 1:
        jax.distributed.initialize(coordinator, count, rank, cluster_detection_method="deactivate")

    columns = {
        "user": np.empty(ratings, np.int64),
        "item": np.empty(ratings, np.int64),
        "rating": np.empty(ratings, dtype),
    }
    for part, values in _generated(ratings):
        for name, column in columns.items():
            column[part] = values[name]
    frame = pd.DataFrame(columns, copy=False)
    model = MatrixFactorization(factors=factors, epochs=1, distributed=count > 1)
    seconds, _ = timed(lambda: model.fit(frame))
    return {
        "ratings": ratings,
        "frame": int(frame.memory_usage().sum()),
        "seconds": seconds,
        "peak": memory("VmHWM"),
    }


def _generated(ratings: int) -> Iterator[tuple[slice, dict[str, NDArray[Any]]]]:
    """Yield ratings, chunk by chunk, each with its place."""
    rng = np.random.default_rng(0)
    ids = np.sort(rng.choice(LARGEST_ID, USERS, replace=False))
    for part in parts(ratings, CHUNK):
        size = part.stop - part.start
        yield (
            part,
            {
                "user": ids[(rng.random(size) ** 2 * USERS).astype(np.int64)],
                "item": (rng.random(size) ** 3 * ITEMS).astype(np.int64),
                "rating": rng.integers(1, 6, size).astype(np.float32),
            },
        )


def _report_split(options: argparse.Namespace) -> None:
    """Measure the stage ``split`` at two sizes, and print the bytes of a rating."""
    peaks = []
    for ratings in options.ratings:
        with TemporaryDirectory() as root:
            folder = DataFolder(Path(root))
            _write(folder, ratings)
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                peaks.append(pool.submit(_measure_split, folder).result())
        print(f"split, {ratings:12,} ratings: peak {peaks[-1] / 1e6:7.0f} MB", flush=True)
    slope = (peaks[1] - peaks[0]) / (options.ratings[1] - options.ratings[0])
    report = Target("bytes a rating", slope, MOST_OF_SPLIT).report()
    result = {"ratings": options.ratings, "hardware": describe_hardware(), "peaks": peaks}
    write_result(options.json, result | {"slope": slope})
    exit_if_missed([report])


def _write(folder: DataFolder, ratings: int) -> None:
    """Write what the stage ``download`` leaves."""
    folder.raw.parent.mkdir(parents=True)
    write_json(folder.facts, {"low": 1, "high": 5})
    kinds = {"user": pa.int64(), "item": pa.int64(), "rating": pa.float32()}
    with pq.ParquetWriter(folder.raw, pa.schema(kinds)) as writer:
        for _, values in _generated(ratings):
            writer.write_table(pa.table(values))


def _measure_split(folder: DataFolder) -> int:
    split_folder(folder, SplitSettings())
    return memory("VmHWM")


if __name__ == "__main__":
    main()
