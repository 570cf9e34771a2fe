"""A fold of MovieLens 1M as the pipeline by default would hand it to training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.problems import groupings
from mascot_jax.data.load import load_ratings
from mascot_jax.data.split import Split, split_ratings
from mascot_jax.engine.ratings import Triples
from mascot_jax.settings import DataSettings, SplitSettings, validate
from mascot_jax.training.problem import Problem, make_problem


def read_split(archive: Path, name: str = "ml-1m", seed: int = 0) -> Split:
    """Read MovieLens 1M, or another set, and divide it as the pipeline does by default."""
    source = validate(DataSettings, {"name": name, "source": str(archive.resolve())})
    return split_ratings(load_ratings(source).frame, SplitSettings(seed=seed))


def make_fold(split: Split, number: int, share: float = 1.0) -> Problem:
    """Return a fold; ``share`` of its training ratings, a random sample, are all it has."""

    def ratings(chosen: NDArray[np.intp]) -> Triples:
        return split.user[chosen], split.item[chosen], split.rating[chosen]

    train, test = np.flatnonzero(split.fold != number), np.flatnonzero(split.fold == number)
    kept = ratings(train[: round(len(train) * share)])
    groups = groupings(kept, len(split.user_ids), len(split.item_ids))
    return make_problem(kept, *groups, test=ratings(test))
