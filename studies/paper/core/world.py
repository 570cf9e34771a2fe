"""One fold of a data set as trainings take it: ratings by row, and groups as many as wanted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import count_each
from mascot_jax.data.store import read_fold
from mascot_jax.engine.ratings import relabelled_ratings
from mascot_jax.settings import TrainSettings
from mascot_jax.tables.groups import Grouping, regroup
from mascot_jax.training.problem import Prepared, prepare
from mascot_jax.training.scoring import HeldOut
from pipeline.common.paths import DataFolder


class World:
    """A fold's ratings, on JAX's default device.

    Parameters
    ----------
    folder
        Of a data set that is split.
    fold
        Whose ratings test; the others train.
    """

    def __init__(self, folder: DataFolder, fold: int) -> None:
        data = read_fold(folder.split, fold)
        self.counts: tuple[NDArray[np.int64], NDArray[np.int64]] = (
            count_each(data.train_user, data.user_count),
            count_each(data.train_item, data.item_count),
        )
        """int64 ``(users,)`` and ``(items,)``: training ratings of each."""
        users, items = self.groups(1)
        self._test = users.row_of[data.test_user], items.row_of[data.test_item], data.test_rating
        self.ratings = relabelled_ratings(
            data.train_user, data.train_item, data.train_rating, users.row_of, items.row_of
        )
        """As they came; rows lie by their number of ratings, however many groups are cut of it."""

    def groups(self, wanted: int) -> tuple[Grouping, Grouping]:
        """Return user groups and item groups, about so many of each."""
        users, items = self.counts
        return regroup(users, wanted), regroup(items, wanted)

    def prepare(self, settings: TrainSettings, users: Grouping, items: Grouping) -> Prepared:
        """Return the training ratings, laid out as settings ask."""
        return prepare(self.ratings, users, items, settings)

    def held_out(self, prepared: Prepared) -> HeldOut:
        """Return the test ratings."""
        return HeldOut(*self._test, prepared.rule)
