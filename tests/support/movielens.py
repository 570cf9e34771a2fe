"""MovieLens 1M, fold 0, as the pipeline would hand it to training."""

from typing import NamedTuple

import numpy as np

from mascot_jax.engine.ratings import Triples
from mascot_jax.settings import DataSettings, SplitSettings, validate
from mascot_jax.tables.groups import Grouping, regroup
from mascot_jax.training.loop import train_state
from mascot_jax.training.problem import make_problem, prepare


class Fold(NamedTuple):
    """A fold's training and test ratings, by index, and groups."""

    train: Triples
    test: Triples
    users: Grouping
    items: Grouping

    @property
    def problem(self):
        """One's own copy, as a training is given it."""
        train = tuple(column.copy() for column in self.train)
        return make_problem(train, self.users, self.items, test=self.test)


def final_rmse(problem, settings, execution, on_epoch=None):
    """The test RMSE after a training."""
    plan = problem.plan(settings, problem.ratings.platform)
    prepared = prepare(problem, plan, execution)
    state = train_state(prepared, execution, on_epoch)
    return prepared.test.score(state.users, state.items, execution).rmse


def read_ml_1m(folder):
    """Split the ratings in ``ml-1m.zip``, which need not be on a device yet."""
    # Not above: a machine with a GPU, and without real ratings, needs no polars.
    from mascot_jax.data.load import load_ratings
    from mascot_jax.data.split import split_ratings

    source = str(folder / "ml-1m.zip")
    raw = load_ratings(validate(DataSettings, {"name": "ml-1m", "source": source}))
    return split_ratings(raw.frame, SplitSettings())


def make_fold(split):
    """Fold 0, in 100 groups a side."""
    train, test = split.fold != 0, split.fold == 0
    counts = len(split.user_ids), len(split.item_ids)
    columns = (split.user, split.item, split.rating)
    users = regroup(np.bincount(split.user[train], minlength=counts[0]), 100)
    items = regroup(np.bincount(split.item[train], minlength=counts[1]), 100)
    return Fold(
        tuple(column[train] for column in columns),
        tuple(column[test] for column in columns),
        users,
        items,
    )
