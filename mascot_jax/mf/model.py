"""A trained model: live rows only, unpadded, in the storage each was trained in."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any, Final

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts
from mascot_jax.base.biases import Biases
from mascot_jax.engine.prediction import ColdRule
from mascot_jax.engine.state import TrainState
from mascot_jax.ids.table import INTEGER, IdTable
from mascot_jax.ranking.pairs import Pairs
from mascot_jax.settings import RegroupSettings, TrainSettings
from mascot_jax.tables.groups import Grouping, inverse
from mascot_jax.tables.storage import STORAGES, Storage
from mascot_jax.tables.table import Side

ROWS_AT_A_TIME: Final = 16_384
"""Bounds the memory of decoding rows: 8 MiB at k = 128."""


@dataclasses.dataclass(frozen=True)
class ModelSide:
    """The users, or the items: g groups over ``rows`` rows.

    Attributes
    ----------
    order
        uint32 ``(rows,)``: the index, before regrouping, of each row.
    starts
        uint32 ``(g + 1,)``: group j holds rows ``starts[j]`` to ``starts[j + 1] - 1``.
    codes
        uint8 ``(g,)``: storage of each group.
    warm_rows
        Rows from here on had no training rating.
    factors
        Storage name -> the rows ``(live rows, k)`` that are in it, in row order; of int8 with what
        else they hold (``Storage.elements``).
    ids
        The id of each index; None where nobody said: the indices are then all there is.
    counts
        uint32 ``(rows,)``: training ratings of each row; None in files before version 3.
    """

    order: NDArray[np.uint32]
    starts: NDArray[np.uint32]
    codes: NDArray[np.uint8]
    warm_rows: int
    factors: dict[str, NDArray[Any]]
    ids: IdTable | None = None
    counts: NDArray[np.uint32] | None = None

    def __len__(self) -> int:
        return len(self.order)

    @property
    def id_table(self) -> IdTable:
        """The ids; where nobody said, the indices themselves."""
        if self.ids is not None:
            return self.ids
        return IdTable(INTEGER, np.arange(len(self), dtype=np.int64))

    def named(self, ids: IdTable, counts: NDArray[np.int64]) -> ModelSide:
        """Return this side with what makes it usable without its ratings.

        ``counts`` is ``(rows,)``: training ratings of each index.
        """
        by_row = counts[self.order].astype(np.uint32)
        return dataclasses.replace(self, ids=ids, counts=by_row)

    @property
    def rating_counts(self) -> NDArray[np.int64]:
        """int64 ``(rows,)``: ratings of each index; where nobody said, 1 of those that had any."""
        if self.counts is None:
            return (self.row_of < self.warm_rows).astype(np.int64)
        return self.counts[self.row_of].astype(np.int64)

    def rows_of(self, indices: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Return the row of each index; of -1, an unknown id, the one behind the last."""
        return np.where(indices < 0, np.uint32(len(self)), self.row_of[indices])

    @cached_property
    def row_of(self) -> NDArray[np.uint32]:
        """uint32 ``(rows,)``: the row of each index."""
        return inverse(self.order)

    def rows_in(self, storage: Storage) -> NDArray[np.bool_]:
        """Return bool ``(rows,)``: the rows stored in ``storage``."""
        return np.repeat(self.codes == storage.code, np.diff(self.starts))

    def dense(
        self, factors: int, indices: NDArray[np.integer[Any]] | None = None
    ) -> NDArray[np.float32]:
        """Decode rows: of all indices in their order, or of some.

        Parameters
        ----------
        factors
            k.
        indices
            ``(n,)``, each below the number of rows; None for all.

        Returns
        -------
        rows
            float32 ``(n, k)``.
        """
        wanted = self.row_of if indices is None else self.row_of[indices]
        dense = np.empty((len(wanted), factors), dtype=np.float32)
        for name, stored in self.factors.items():
            places = self._places[name][wanted]
            found = np.flatnonzero(places >= 0)
            for rows in parts(len(found), ROWS_AT_A_TIME):
                part = found[rows]
                dense[part] = STORAGES[name].decode(stored[places[part]], factors)
        return dense

    @cached_property
    def _places(self) -> dict[str, NDArray[np.int64]]:
        """Storage name -> int64 ``(rows,)``: where in ``factors`` each row is; -1 of others."""
        live = {name: self.rows_in(STORAGES[name]) for name in self.factors}
        return {name: np.where(rows, np.cumsum(rows) - 1, -1) for name, rows in live.items()}

    @property
    def factor_bytes(self) -> int:
        """Bytes of all rows."""
        return sum(rows.nbytes for rows in self.factors.values())


@dataclasses.dataclass(frozen=True)
class Model:
    """Trained factors and what is needed to predict with them."""

    settings: TrainSettings
    users: ModelSide
    items: ModelSide
    mean_rating: float
    """Of the training ratings."""
    low: float
    """The rating range."""
    high: float
    traffic: dict[str, float]
    """Storage name -> share of the training's row visits."""
    epochs_trained: int
    """Epochs that made the factors: fewer than the settings' where training stopped early."""
    biases: Biases | None = None
    """In the order of the rows; None where the factors are all there is."""
    regroup: RegroupSettings = dataclasses.field(default_factory=RegroupSettings)
    """How many groups were wanted."""
    seen: Pairs | None = None
    """The items that each user has rated, both as indices, ascending; None where not kept."""

    @property
    def cold_rule(self) -> ColdRule:
        """The answer for users and items without training ratings, and the biases.

        It answers for a row behind the last, too, which stands for an unknown user or item.
        """
        warm = self.users.warm_rows, self.items.warm_rows
        biases = self.biases
        if biases is not None:
            biases = Biases(*(np.append(bias, np.float32(0)) for bias in biases))
        return ColdRule(self.mean_rating, *warm, biases)

    def dense_users(self) -> NDArray[np.float32]:
        """Decode the factors of all users in the order of their indices, float32 ``(users, k)``."""
        return self.users.dense(self.settings.factors)

    def dense_items(self) -> NDArray[np.float32]:
        """Decode the factors of all items in the order of their indices, float32 ``(items, k)``."""
        return self.items.dense(self.settings.factors)

    @property
    def factor_bytes(self) -> int:
        """Bytes of all live rows."""
        return self.users.factor_bytes + self.items.factor_bytes


def side_from_state(side: Side, grouping: Grouping, factors: int) -> ModelSide:
    """Take the live rows out of a state's tables; ``factors`` is k."""
    codes = np.array(side.codes)
    model = ModelSide(grouping.order, grouping.starts, codes, grouping.warm_rows, {})
    for name, table in side.tables.items():
        live = model.rows_in(STORAGES[name])
        if live.any():
            model.factors[name] = np.asarray(table)[live, : STORAGES[name].elements(factors)]
    return model


def side_to_state(model: ModelSide, factors: int) -> Side:
    """Lay a model's rows out for the kernels; ``factors`` is k."""
    tables = {}
    for name, rows in sorted(model.factors.items()):
        storage = STORAGES[name]
        table = np.zeros((len(model.order), storage.stride(factors)), dtype=storage.dtype)
        table[model.rows_in(storage), : storage.elements(factors)] = rows
        tables[name] = jnp.asarray(table)
    return Side(
        tables,
        jnp.asarray(model.starts),
        jnp.asarray(model.codes),
        jnp.full(len(model.codes), jnp.nan, dtype=jnp.float32),
    )


def model_from_state(
    state: TrainState,
    users: Grouping,
    items: Grouping,
    settings: TrainSettings,
    *,
    rule: ColdRule,
    low: float,
    high: float,
    traffic: dict[str, float],
) -> Model:
    """Return the model that a training state has become; ``rule`` is what training prepared."""
    return Model(
        settings.resolved(),
        side_from_state(state.users, users, settings.factors),
        side_from_state(state.items, items, settings.factors),
        rule.mean_rating,
        low,
        high,
        traffic,
        int(state.epoch),
        rule.biases,
    )
