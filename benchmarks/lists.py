"""Lists of this library beside others': ``python -m benchmarks.lists --help``.

Each data set is split by some seeds, 80 to 20 at random; models take turns, split after split.
NDCG@10 is a mean over the users: every held-out item is relevant, and lists leave out what was
trained on. ``--leave-one-out`` holds the last rating of each user out instead, and ranks it among
100 items that the user has not rated, of which seeds draw others (Rendle et al., "Neural
collaborative filtering vs. matrix factorization revisited", RecSys 2020). Peers need the extra
``peers``.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.lists import WAYS, Factors, Interactions, Way
from benchmarks.harness.peers import installed
from benchmarks.harness.program import make_parser, write_result
from benchmarks.harness.timing import timed
from mascot_jax.data import read_ratings
from mascot_jax.data.formats.columns import TIMED
from mascot_jax.data.formats.values import parse_times
from mascot_jax.data.read import read_table
from mascot_jax.engine.cores import usable_cores
from mascot_jax.model_selection import train_test_split
from mascot_jax.ranking import Pairs, ranking_metrics, sampled_metrics, top_n
from mascot_jax.ranking.pairs import make_pairs
from mascot_jax.ranking.rest import Rest
from mascot_jax.settings.data import TimedColumns
from pipeline.common.hardware import describe_hardware

N: Final = 10
SAMPLED: Final = 100


class Split(NamedTuple):
    """Ratings by index, some of them held out."""

    train: Interactions
    seen: Pairs
    """Items of each user that are trained on."""
    wanted: Pairs
    """Held-out items of each user."""


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, help="ml-1m.zip, ml-100k.zip"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--models", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--leave-one-out", action="store_true")
    options = parser.parse_args()
    ways = {name: WAYS[name] for name in options.models if is_there(name, WAYS[name])}
    figures = _sampled if options.leave_one_out else score_lists
    tables = []
    for path in options.data:
        rows: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
        for seed in options.seeds:
            split = read_split(path, seed, one=options.leave_one_out)
            for name, way in ways.items():
                cpu = time.process_time()
                seconds, factors = timed(partial(way.train, split.train, options.threads, seed))
                took = {"seconds": seconds, "cpu_seconds": time.process_time() - cpu}
                rows[name].append(took | figures(split, factors, seed))
                _print(path.stem, seed, name, rows[name][-1])
        tables.append(
            {"data": path.stem, "rows": [_row(name, ways[name], rows[name]) for name in rows]}
        )
    result = {
        "leave_one_out": options.leave_one_out,
        "seeds": options.seeds,
        "threads": options.threads,
        "hardware": describe_hardware(),
        "tables": tables,
    }
    write_result(options.json, result)


def is_there(name: str, way: Way) -> bool:
    """Return whether a way's package is installed; say so if it is not."""
    package = way.package
    there = package is None or bool(installed([package]))
    if not there:
        sys.stdout.write(f"left out: {name}: {package} is not installed (pip install '.[peers]')\n")
    return there


def read_split(path: Path, seed: int, *, one: bool) -> Split:
    """Read ratings and hold a fifth of them out at random, or the last one of each user."""
    if one:
        ratings = read_table(str(path), TimedColumns(), TIMED)
        times = parse_times(ratings["time"], str(path))
        parts = train_test_split(ratings, how="last", time=times)
    else:
        ratings = read_ratings(str(path))
        parts = train_test_split(ratings, test_size=0.2, seed=seed)
    ids = [np.unique(ratings[name].to_numpy()) for name in ("user", "item")]
    (users, items), held_out = (
        [
            np.searchsorted(all_, part[name].to_numpy())
            for all_, name in zip(ids, ("user", "item"), strict=True)
        ]
        for part in parts
    )
    values = parts[0]["rating"].to_numpy().astype(np.float32)
    counts = len(ids[0]), len(ids[1])
    return Split(
        Interactions(users, items, values, *counts),
        make_pairs(users, items, counts[0]),
        make_pairs(held_out[0], held_out[1], counts[0]),
    )


def score_lists(split: Split, factors: Factors, _: int = 0) -> dict[str, float]:
    """Return the figures of lists of all items."""
    train = split.train
    lists = top_n(
        factors.users,
        factors.items,
        N,
        item_offset=factors.offset,
        exclude=split.seen,
        candidates=np.unique(train.items).astype(np.uint32),
    )
    found = ranking_metrics(lists, split.wanted, N, train.item_count)
    return {"ndcg": found.ndcg, "recall": found.recall, "coverage": found.coverage}


def _sampled(split: Split, factors: Factors, seed: int) -> dict[str, float]:
    """Return the figures of each held-out item among sampled ones."""
    train = split.train
    queries = np.repeat(np.arange(train.user_count), np.diff(split.wanted.starts))
    wanted = split.wanted.items
    rated = make_pairs(
        np.append(train.users, queries), np.append(train.items, wanted), train.user_count
    )
    rest = Rest(np.unique(train.items).astype(np.uint32), rated)
    others, there = rest.sample(queries, SAMPLED, np.random.default_rng(seed))
    own = _scores(factors, queries, wanted[:, None])
    each = _scores(factors, queries, others)
    # What nobody else has rated cannot be recommended.
    missed = ~np.isin(wanted, train.items)
    above = np.where(missed, N, ((each > own) & there).sum(axis=1))
    ties = np.where(missed, 0, ((each == own) & there).sum(axis=1))
    found = sampled_metrics(above, ties, N)
    return {"hit_rate": found.sampled_hit_rate, "ndcg": found.sampled_ndcg}


def _scores(
    factors: Factors, users: NDArray[np.int64], items: NDArray[np.uint32]
) -> NDArray[np.float32]:
    """Return the scores of items ``(r, c)`` for users ``(r,)``."""
    scores: NDArray[np.float32] = factors.offset[items].astype(np.float32)
    for column, of_column in enumerate(items.T):
        scores[:, column] += np.einsum("rk,rk->r", factors.users[users], factors.items[of_column])
    return scores


def _row(name: str, way: Way, splits: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Summarise a model's splits: means of figures, the median of seconds."""
    figures = {key: statistics.fmean(one[key] for one in splits) for key in splits[0]}
    for key in ("seconds", "cpu_seconds"):
        figures[key] = statistics.median(one[key] for one in splits)
    return {
        "name": name,
        "settings": dict(way.settings),
        **figures,
        "splits": [one["ndcg"] for one in splits],
    }


def _print(data: str, seed: int, name: str, figures: Mapping[str, float]) -> None:
    cells = ", ".join(f"{key} {value:.4f}" for key, value in figures.items())
    sys.stdout.write(f"{data}, split {seed}, {name}: {cells}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
