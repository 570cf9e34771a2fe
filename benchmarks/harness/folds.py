"""A fold of MovieLens 1M as the pipeline by default would hand it to training."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mascot_jax.data.load import load_ratings
from mascot_jax.data.split import Split, split_ratings
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.ratings import make_ratings
from mascot_jax.engine.state import TrainState
from mascot_jax.settings import (
    DataSettings,
    RegroupSettings,
    SplitSettings,
    TrainSettings,
    validate,
)
from mascot_jax.tables.groups import Grouping, regroup
from mascot_jax.training.initial import initial_state
from mascot_jax.training.loop import OnEpoch, fit
from mascot_jax.training.problem import Prepared, prepare
from mascot_jax.training.scoring import HeldOut


class Columns(NamedTuple):
    """Ratings with regrouped rows, in the split's order; arrays ``(n,)``."""

    users: NDArray[np.uint32]
    items: NDArray[np.uint32]
    ratings: NDArray[np.float32]


class Fold(NamedTuple):
    """One fold's training and test ratings."""

    users: Grouping
    items: Grouping
    train: Columns
    test: Columns

    def prepare(self, settings: TrainSettings) -> Prepared:
        """Return what training with these settings starts from."""
        counts = len(self.users.order), len(self.items.order)
        return prepare(make_ratings(*self.train, *counts), self.users, self.items, settings)

    def held_out(self, prepared: Prepared) -> HeldOut:
        """Return the test ratings."""
        return HeldOut(*self.test, prepared.rule)

    def fit(
        self,
        prepared: Prepared,
        settings: TrainSettings,
        execution: Execution,
        on_epoch: OnEpoch | None = None,
    ) -> TrainState:
        """Train from the beginning."""
        state = initial_state(self.users.starts, self.items.starts, settings)
        return fit(state, prepared, settings, execution, on_epoch)


def read_split(archive: Path) -> Split:
    """Read ml-1m.zip and divide it as the pipeline does by default."""
    source = validate(DataSettings, {"name": "ml-1m", "source": str(archive.resolve())})
    return split_ratings(load_ratings(source).frame, SplitSettings())


def make_fold(split: Split, number: int, share: float = 1.0) -> Fold:
    """Return a fold; ``share`` of its training ratings, a random sample, are all it has."""
    train, test = np.flatnonzero(split.fold != number), np.flatnonzero(split.fold == number)
    train = train[: round(len(train) * share)]
    groups = RegroupSettings()
    users = regroup(
        np.bincount(split.user[train], minlength=len(split.user_ids)), groups.user_groups
    )
    items = regroup(
        np.bincount(split.item[train], minlength=len(split.item_ids)), groups.item_groups
    )
    user_rows, item_rows = users.row_of[split.user], items.row_of[split.item]

    def columns(chosen: NDArray[np.intp]) -> Columns:
        return Columns(user_rows[chosen], item_rows[chosen], split.rating[chosen])

    return Fold(users, items, columns(train), columns(test))
