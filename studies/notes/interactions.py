"""How good are lists with these settings? ``python -m studies.notes.interactions --help``.

Ratings are interactions, whatever their value. Splits are 80 to 20 at random; every held-out item
is relevant, and lists leave out what was trained on. Printed is the NDCG of lists of 10, for each
split and on average, with the seconds that the epochs took, and the peak of memory.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from mascot_jax import MatrixFactorization
from mascot_jax.data import read_ratings
from mascot_jax.engine.cores import usable_cores
from mascot_jax.model_selection import train_test_split
from mascot_jax.training.lists import HeldOutLists

WAYS: Final[Mapping[str, Mapping[str, Any]]] = {
    "popular": {},
    "fp32": {"method": "fp32"},
    "fp16": {"method": "fp16"},
    "mascot-int8": {"method": "mascot-int8"},
    "int8": {"method": "int8"},
    "k256": {"factors": 256},
    "k256-12": {"factors": 256, "negatives": 12, "epochs": 20},
    "logistic": {"loss": "logistic"},
    "popular-negatives": {"negative_power": 0.5},
    "8-epochs": {"epochs": 8},
}


def read_options(description: str | None, ways: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the options of a program that tries ways on splits, and the ratings to split."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True, help="ml-1m.zip, ml-100k.zip")
    parser.add_argument("--share", type=float, default=1.0, help="of the ratings, to be thinned")
    parser.add_argument("--ways", nargs="+", choices=ways, default=list(ways))
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--threads", type=int, default=usable_cores())
    options = parser.parse_args()
    ratings = read_ratings(options.data)
    if options.share < 1:
        ratings, _ = train_test_split(ratings, test_size=1 - options.share, seed=0)
    return options, ratings


def main() -> None:
    """Run the program."""
    options, ratings = read_options(__doc__, WAYS)
    for name in options.ways:
        _print(
            name,
            [_score(ratings, seed, WAYS[name], options.threads) for seed in range(options.splits)],
        )


def _score(
    ratings: Any, seed: int, settings: Mapping[str, Any], threads: int
) -> tuple[float, float]:
    """Return the NDCG and the seconds of the epochs."""
    train, test = (part.select("user", "item") for part in train_test_split(ratings, seed=seed))
    if not settings:
        return _popular(train, test), 0.0
    model = MatrixFactorization(objective="interactions", threads=threads, **settings).fit(train)
    return model.score(test), sum(record["seconds"] or 0.0 for record in model.history_)


def _popular(train: Any, test: Any) -> float:
    """Return the NDCG of the items with the most interactions."""
    sides = [np.unique(train[name].to_numpy()) for name in ("user", "item")]
    parts = []
    for part in (train, test):
        users, items = (part[name].to_numpy() for name in ("user", "item"))
        known = np.isin(users, sides[0]) & np.isin(items, sides[1])
        rows = (
            np.searchsorted(side, ids[known]).astype(np.uint32)
            for side, ids in zip(sides, (users, items), strict=True)
        )
        parts.append((*rows, np.ones(int(known.sum()), dtype=np.float32)))
    trained, held_out = parts
    users, items = map(len, sides)
    lists = HeldOutLists(held_out, trained, users, items, most_users=users)
    return lists.score_popular(np.bincount(trained[1], minlength=items))


def _print(name: str, scores: list[tuple[float, float]]) -> None:
    ndcgs, seconds = zip(*scores, strict=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(
        f"{name:14}{statistics.fmean(ndcgs):8.4f}  ({', '.join(f'{x:.4f}' for x in ndcgs)})"
        f"{statistics.median(seconds):8.1f} s{peak:8.0f} MiB at most\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    main()
