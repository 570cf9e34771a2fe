"""Peak memory of ``MatrixFactorization.fit`` on a pandas frame: ``python -m benchmarks.memory``.

Frames of two sizes with the Netflix Prize's users and items are fitted for one epoch, each in a
process of its own, whose peak holds the frame and everything else. The line through the two gives
the bytes of a rating and the ratio at the Prize's own size, without as much memory. Exit status 1
says that it is above 2.5 times the frame. With ``--split`` the pipeline's stage ``split`` divides
such ratings instead, and status 1 says that it takes more than 24 bytes a rating. Of processes that
share a training, ``benchmarks.shared_memory`` prints the peaks.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from benchmarks.harness.memory import memory
from benchmarks.harness.netflix import RATINGS, generated, write_generated
from benchmarks.harness.program import make_parser, write_result
from benchmarks.harness.targets import Target, exit_if_missed
from benchmarks.harness.timing import timed
from mascot_jax.settings import SplitSettings
from pipeline.common.hardware import describe_hardware
from pipeline.common.paths import DataFolder, write_json
from pipeline.split import split_folder

MOST_TIMES: Final = 2.5
MOST_OF_SPLIT: Final = 24.0


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--ratings", type=int, nargs=2, default=(5_000_000, 20_000_000))
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
    runs = []
    for ratings in options.ratings:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            run = pool.submit(_measure, ratings, options.dtype, options.factors).result()
        runs.append(run)
        print(
            f"{ratings:12,} ratings: frame {run['frame'] / 1e6:7.0f} MB, "
            f"peak {run['peak'] / 1e6:7.0f} MB, {run['seconds']:.0f} s",
            flush=True,
        )
    small, large = runs
    slope = (large["peak"] - small["peak"]) / (large["ratings"] - small["ratings"])
    peak = large["peak"] + slope * (RATINGS - large["ratings"])
    sys.stdout.write(f"{slope:.1f} bytes a rating; at {RATINGS:,} ratings {peak / 1e9:.2f} GB\n")
    ratio = peak / (large["frame"] / large["ratings"] * RATINGS)
    asked = {name: value for name, value in vars(options).items() if name != "json"}
    result = asked | {"hardware": describe_hardware(), "runs": runs, "ratio": ratio}
    write_result(options.json, result)
    exit_if_missed([Target("times the frame", ratio, MOST_TIMES).report()])


def _measure(ratings: int, dtype: str, factors: int) -> dict[str, Any]:
    import pandas as pd

    from mascot_jax import MatrixFactorization

    columns = {
        "user": np.empty(ratings, np.int64),
        "item": np.empty(ratings, np.int64),
        "rating": np.empty(ratings, dtype),
    }
    for part, values in generated(ratings):
        for name, column in columns.items():
            column[part] = values[name]
    frame = pd.DataFrame(columns, copy=False)
    model = MatrixFactorization(factors=factors, epochs=1)
    seconds, _ = timed(lambda: model.fit(frame))
    return {
        "ratings": ratings,
        "frame": int(frame.memory_usage().sum()),
        "seconds": seconds,
        "peak": memory("VmHWM"),
    }


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
    write_generated(folder.raw, ratings)


def _measure_split(folder: DataFolder) -> int:
    split_folder(folder, SplitSettings())
    return memory("VmHWM")


if __name__ == "__main__":
    main()
