"""What ratings in flight at once cost: ``python -m studies.notes.collisions --data ml-1m.zip``.

Trains on MovieLens 1M in synchronous batches, whose ratings do not see each other's updates, and
writes rows in each of the ways that a GPU could. The worst case of a GPU with as many ratings in
flight: there, some updates are seen before the batch is over.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.harness.folds import read_split
from benchmarks.harness.program import make_parser, write_result
from mascot_jax.engine.cores import usable_cores
from mascot_jax.engine.kernels import block_size
from mascot_jax.settings import TrainPlan, TrainSettings
from mascot_jax.training.initial import SCALE
from mascot_jax.training.schedule import learning_rates
from pipeline.common.hardware import describe_hardware

WAYS = (
    "FP32, stored: the last one wins",
    "FP32, changes added",
    "FP16, changes added, rounded to nearest",
    "FP16, changes added, rounded to the row's grid at random",
    "INT8, a scale for every 32, stored at random",
    "INT8 so, the most-rated 40 % of rows in FP16 as above",
)
"""Of writing a row; the order is that of collisions.cc."""
HALF_WAYS = (2, 3)
HOT_SHARE = 0.4
"""Of each side's rows: hot ones, in the last way."""
BATCHES = (1, 8448, 12_500, 33_792)
MORE_BATCHES = (1024, 4096, 16_896)
"""Ratings in flight; four a warp: 132 multiprocessors have 8,448 with 16 warps each and 33,792 with
64. 12,500 is a 64th of the training ratings."""

Floats = NDArray[np.float32]
Ids = NDArray[np.uint32]


class Data(NamedTuple):
    """Ratings of fold 0 in their seeded order, and where a test pair is cold."""

    user: Ids
    item: Ids
    rating: Floats
    test_user: Ids
    test_item: Ids
    test_rating: Floats
    cold: NDArray[np.bool_]
    counts: tuple[int, int]


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the archive ml-1m.zip")
    parser.add_argument("--all", action="store_true", help="more numbers of ratings in flight")
    parser.add_argument("--batches", type=int, nargs="+", help="these instead")
    parser.add_argument("--ways", type=int, nargs="+", default=range(len(WAYS)), metavar="WAY")
    parser.add_argument("--epochs", type=int, default=TrainSettings().epochs)
    parser.add_argument("--learning-rate", type=float, default=TrainSettings().learning_rate)
    options = parser.parse_args()
    data = _read(options.data)
    plan = TrainSettings(epochs=options.epochs, learning_rate=options.learning_rate).plan()
    batches = options.batches or sorted(BATCHES + (MORE_BATCHES if options.all else ()))
    cells = list(itertools.product(options.ways, batches))
    with tempfile.TemporaryDirectory() as folder:
        epoch = _compile(Path(folder))
        # The epochs release Python's lock.
        with ThreadPoolExecutor(usable_cores()) as pool:
            trainings = pool.map(lambda cell: _train(epoch, data, plan, *cell), cells)
            found = list(tqdm(trainings, total=len(cells), desc="trainings", disable=None))
    rows = [
        {"way": WAYS[way], "rmse": dict(zip(batches, found[i * len(batches) :], strict=False))}
        for i, way in enumerate(options.ways)
    ]
    hottest = max(int(np.bincount(ids).max()) for ids in (data.user, data.item))
    _print(rows, batches, hottest / len(data.rating))
    result = {
        "data": "ml-1m, fold 0",
        "ratings": len(data.rating),
        "ratings_of_the_most_rated_row": hottest,
        "settings": plan.model_dump(mode="json", include=_SETTINGS),
        "hardware": describe_hardware(jax.local_devices(backend="cpu")[0]),
        "ways": rows,
    }
    write_result(options.json, result)


_SETTINGS = {"factors", "epochs", "learning_rate", "decay", "user_reg", "item_reg", "seed"}


def _read(archive: Path) -> Data:
    split = read_split(archive)
    train, test = split.fold != 0, split.fold == 0
    seen_users, seen_items = np.unique(split.user[train]), np.unique(split.item[train])
    warm = np.isin(split.user[test], seen_users) & np.isin(split.item[test], seen_items)
    return Data(
        split.user[train],
        split.item[train],
        split.rating[train],
        split.user[test],
        split.item[test],
        split.rating[test],
        ~warm,
        (len(split.user_ids), len(split.item_ids)),
    )


def _compile(folder: Path) -> Any:
    """Build collisions.cc for this machine; return its function."""
    library = folder / "collisions.so"
    compiler = os.environ.get("CXX", "c++")
    # No -ffast-math: it would let the compiler cancel a rounding to a grid.
    flags = "-std=c++17 -O3 -march=native -fno-math-errno -fno-trapping-math -shared -fPIC"
    source = Path(__file__).with_suffix(".cc")
    subprocess.run([compiler, *flags.split(), str(source), "-o", str(library)], check=True)
    epoch = ctypes.CDLL(str(library)).run_epoch
    floats, ids = np.ctypeslib.ndpointer(np.float32), np.ctypeslib.ndpointer(np.uint32)
    marks = np.ctypeslib.ndpointer(np.bool_)
    epoch.argtypes = [ctypes.c_int, floats, floats, marks, marks, ids, ids, floats, ctypes.c_int64]
    epoch.argtypes += [ctypes.c_int32, ctypes.c_int64, floats, ctypes.c_uint32]
    return epoch


def _train(epoch: Any, data: Data, plan: TrainPlan, way: int, batch: int) -> float | None:
    """Return the test RMSE after a training in batches; None if it diverges."""
    rng = np.random.default_rng(plan.seed)
    shapes = [(count, plan.factors) for count in data.counts]
    p, q = (rng.normal(0, SCALE, shape).astype(np.float32) for shape in shapes)
    if way in HALF_WAYS:
        p, q = (factors.astype(np.float16).astype(np.float32) for factors in (p, q))
    sides = zip((data.user, data.item), data.counts, strict=True)
    hot = [_most_rated(np.bincount(ids, minlength=count)) for ids, count in sides]
    for rate in learning_rates(plan):
        visits = _order(len(data.rating), rng)
        rates = np.array([rate, plan.user_reg, plan.item_reg], np.float32)
        ordered = data.user[visits], data.item[visits], data.rating[visits]
        key = int(rng.integers(1 << 32))
        failed = epoch(way, p, q, *hot, *ordered, len(visits), plan.factors, batch, rates, key)
        assert not failed
    predicted = np.einsum("nk,nk->n", p[data.test_user], q[data.test_item])
    predicted[data.cold] = data.rating.mean()
    rmse = float(np.sqrt(np.mean(np.square(predicted - data.test_rating, dtype=np.float64))))
    return rmse if np.isfinite(rmse) else None


def _most_rated(visits: NDArray[np.int64]) -> NDArray[np.bool_]:
    hot = np.zeros(len(visits), dtype=np.bool_)
    hot[np.argsort(-visits, kind="stable")[: round(HOT_SHARE * len(visits))]] = True
    return hot


def _order(count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the ratings' numbers in blocks of a new order."""
    size = block_size(count)
    starts = rng.permutation(-(-count // size)) * size
    numbers: NDArray[np.int64] = (starts[:, None] + np.arange(size)).ravel()
    return numbers[numbers < count]


def _print(rows: list[dict[str, Any]], batches: list[int], share: float) -> None:
    sys.stdout.write(f"{'RMSE, ratings in flight:':58}" + "".join(f"{b:>9}" for b in batches))
    for row in rows:
        figures = "".join(f"{row['rmse'][b] or np.nan:9.4f}" for b in batches)
        sys.stdout.write(f"\n{row['way']:58}{figures}")
    shared = "".join(f"{b * share:9.1f}" for b in batches)
    sys.stdout.write(f"\n{'ratings of the most-rated row among them':58}{shared}\n")


if __name__ == "__main__":
    main()
