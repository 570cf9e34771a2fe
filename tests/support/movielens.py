"""MovieLens 1M, fold 0, as the pipeline would hand it to training."""

from typing import NamedTuple

import numpy as np

from mascot_jax.data.load import load_ratings
from mascot_jax.data.split import split_ratings
from mascot_jax.engine.prediction import ColdRule
from mascot_jax.engine.ratings import Ratings, make_ratings
from mascot_jax.settings import DataSettings, SplitSettings, validate
from mascot_jax.tables.groups import Grouping, regroup
from mascot_jax.training.initial import initial_state
from mascot_jax.training.loop import fit
from mascot_jax.training.scoring import HeldOut


class Fold(NamedTuple):
    """Ratings to train on and to score, on JAX's default device."""

    users: Grouping
    items: Grouping
    ratings: Ratings
    held_out: HeldOut

    def train(self, settings, execution, on_epoch=None):
        """The test RMSE after a training."""
        state = initial_state(self.users.starts, self.items.starts, settings)
        state = fit(state, self.ratings, settings, execution, on_epoch)
        return self.held_out.score(state.users, state.items, settings.factors, execution).rmse


def read_ml_1m(folder):
    """Split the ratings in ``ml-1m.zip``, which need not be on a device yet."""
    source = str(folder / "ml-1m.zip")
    raw = load_ratings(validate(DataSettings, {"name": "ml-1m", "source": source}))
    return split_ratings(raw.frame, SplitSettings())


def make_fold(split):
    """Fold 0, in 100 groups a side."""
    train, test = split.fold != 0, split.fold == 0
    counts = len(split.user_ids), len(split.item_ids)
    users = regroup(np.bincount(split.user[train], minlength=counts[0]), 100)
    items = regroup(np.bincount(split.item[train], minlength=counts[1]), 100)
    user_rows, item_rows = users.row_of[split.user], items.row_of[split.item]
    rule = ColdRule(float(split.rating[train].mean()), users.warm_rows, items.warm_rows)
    return Fold(
        users,
        items,
        make_ratings(user_rows[train], item_rows[train], split.rating[train], *counts),
        HeldOut(user_rows[test], item_rows[test], split.rating[test], rule),
    )
