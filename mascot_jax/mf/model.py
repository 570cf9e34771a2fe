"""A trained model: live rows only, unpadded, in the storage each was trained in."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.biases import DEFAULT_DAMPING, Biases, Damping
from mascot_jax.base.units import IN_OWN_UNITS, Units
from mascot_jax.engine.prediction import ColdRule
from mascot_jax.ids.kinds import INTEGER
from mascot_jax.ids.table import IdTable
from mascot_jax.ranking.pairs import Pairs
from mascot_jax.settings import RegroupSettings, TrainPlan
from mascot_jax.tables.groups import inverse
from mascot_jax.tables.rows import Rows


@dataclasses.dataclass(frozen=True)
class ModelSide:
    """Users, or items, and their factors.

    Attributes
    ----------
    table
        The factors, row by row.
    order
        uint32 ``(rows,)``: the index, before regrouping, of each row.
    warm_rows
        Number of rows with a training rating; later rows are cold.
    ids
        The id of each index; None if ids are the indices.
    counts
        uint32 ``(rows,)``: training ratings of each row; None in files before version 3.
    """

    table: Rows
    order: NDArray[np.uint32]
    warm_rows: int
    ids: IdTable | None = None
    counts: NDArray[np.uint32] | None = None

    def __len__(self) -> int:
        return len(self.order)

    @property
    def id_table(self) -> IdTable:
        """The ids; the indices themselves if there are none."""
        if self.ids is not None:
            return self.ids
        return IdTable(INTEGER, np.arange(len(self), dtype=np.int64))

    def named(self, ids: IdTable, counts: NDArray[np.int64]) -> ModelSide:
        """Return this side with ids and rating counts, which make it usable without its ratings.

        ``counts`` is int64 ``(rows,)``: training ratings of each index.
        """
        by_row = counts[self.order].astype(np.uint32)
        return dataclasses.replace(self, ids=ids, counts=by_row)

    @property
    def rating_counts(self) -> NDArray[np.int64]:
        """int64 ``(rows,)``: training ratings of each index; if unknown, 1 for each with any."""
        if self.counts is None:
            return (self.row_of < self.warm_rows).astype(np.int64)
        return self.counts[self.row_of].astype(np.int64)

    def rows_of(self, indices: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Return the row of each index; for -1, an unknown id, the row after the last."""
        return np.where(indices < 0, np.uint32(len(self)), self.row_of[indices])

    @cached_property
    def row_of(self) -> NDArray[np.uint32]:
        """uint32 ``(rows,)``: the row of each index."""
        return inverse(self.order)

    def dense(self, indices: NDArray[np.integer[Any]] | None = None) -> NDArray[np.float32]:
        """Decode the rows of indices ``(n,)``, of all if None, to float32 ``(n, k)``."""
        return self.table.dense(self.row_of if indices is None else self.row_of[indices])


@dataclasses.dataclass(frozen=True)
class Model:
    """Trained factors, and what else is needed to predict with them."""

    settings: TrainPlan
    users: ModelSide
    items: ModelSide
    mean_rating: float
    """Mean of the training ratings; with ``tuned``, wild ones cut. With interactions 0, what is
    predicted where nothing is known."""
    low: float
    """Lowest value of the rating range, ``high`` the highest."""
    high: float
    traffic: dict[str, float]
    """Share of the training's row visits, by storage name (``tables.traffic.Traffic``)."""
    epochs_trained: int
    """Epochs that made the factors; fewer than the settings' if training stopped early."""
    biases: Biases | None = None
    """In the order of the rows and in normal units; None if the model has no biases."""
    regroup: RegroupSettings = dataclasses.field(default_factory=RegroupSettings)
    """Wanted numbers of groups."""
    seen: Pairs | None = None
    """The items that each user has rated, both as indices, ascending; None if not kept."""
    units: Units = IN_OWN_UNITS
    """What factors and biases are in."""
    bias_share: float = 1.0
    """As in ``ColdRule``, and ``lift``."""
    lift: float = 0.0
    damping: Damping = DEFAULT_DAMPING
    """Of the biases."""
    baseline: Biases | None = None
    """Biases to compare with, if the model does without."""
    thresholds: tuple[float, float] | None = None
    """With the pruning ``early-exit``: magnitudes below which a component of a user's or an item's
    row ended an update; in training only, predictions take all components."""
    decided: tuple[str, ...] = ()
    """Names of the settings that the ratings decided."""
    confidence: float = 1.0
    """Of interactions: the mean value that their weights are units of."""

    @property
    def factors(self) -> int:
        """Components of a row: fewer than the settings have if the training was pruned."""
        return self.users.table.factors

    @property
    def cold_rule(self) -> ColdRule:
        """Rule for users and items without training ratings, and the biases.

        It also applies to the row after the last, which stands for an unknown user or item.
        """
        return ColdRule(
            self.mean_rating,
            self.users.warm_rows,
            self.items.warm_rows,
            _with_unknown(self.biases),
            self.units,
            self.bias_share,
            self.lift,
        )

    @property
    def biases_alone(self) -> Biases | None:
        """Biases to predict with alone, to compare with, as in ``cold_rule``; None if not known."""
        return _with_unknown(self.biases if self.biases is not None else self.baseline)

    @property
    def intercept(self) -> float:
        """What is added to shared biases and products of factors, in units of the ratings."""
        rule = self.cold_rule
        return rule.units.centre + rule.units.scale * rule.base

    @property
    def shared_biases(self) -> Biases | None:
        """The share of biases that is added to products of factors; None without biases.

        By index, in units of the ratings.
        """
        if self.biases is None:
            return None
        share = np.float32(self.units.scale * self.bias_share)
        return Biases(
            share * self.biases.users[self.users.row_of],
            share * self.biases.items[self.items.row_of],
        )

    def dense_users(self) -> NDArray[np.float32]:
        """Decode the factors of all users in index order, float32 ``(users, k)``."""
        return self.users.dense()

    def dense_items(self) -> NDArray[np.float32]:
        """Decode the factors of all items in index order, float32 ``(items, k)``."""
        return self.items.dense()

    @property
    def factor_bytes(self) -> int:
        """Bytes of all live rows."""
        return self.users.table.nbytes + self.items.table.nbytes


def _with_unknown(biases: Biases | None) -> Biases | None:
    """Append the bias 0, of unknown users and items."""
    if biases is None:
        return None
    return Biases(*(np.append(bias, np.float32(0)) for bias in biases))
