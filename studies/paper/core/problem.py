"""One fold of a data set as trainings take it."""

from __future__ import annotations

from benchmarks.harness.problems import groupings
from mascot_jax.data.store import read_fold
from mascot_jax.training.problem import Problem, make_problem
from pipeline.common.paths import DataFolder


def read_problem(folder: DataFolder, fold: int) -> Problem:
    """Return a fold of a data set that is split; its ratings test, the others train."""
    data = read_fold(folder.split, fold)
    train = data.train_user, data.train_item, data.train_rating
    return make_problem(
        train,
        *groupings(train, data.user_count, data.item_count),
        test=(data.test_user, data.test_item, data.test_rating),
        low=data.low,
        high=data.high,
    )
