"""A trained model: live rows only, unpadded, in the storage each was trained in."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.biases import Biases
from mascot_jax.grouping import Grouping, inverse
from mascot_jax.prediction import ColdRule
from mascot_jax.settings import TrainSettings
from mascot_jax.state import Side, TrainState
from mascot_jax.storage import STORAGES, Storage


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
    """

    order: NDArray[np.uint32]
    starts: NDArray[np.uint32]
    codes: NDArray[np.uint8]
    warm_rows: int
    factors: dict[str, NDArray[Any]]

    @property
    def row_of(self) -> NDArray[np.uint32]:
        """uint32 ``(rows,)``: the row of each index."""
        return inverse(self.order)

    def rows_in(self, storage: Storage) -> NDArray[np.bool_]:
        """Return bool ``(rows,)``: the rows stored in ``storage``."""
        return np.repeat(self.codes == storage.code, np.diff(self.starts))

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

    @property
    def cold_rule(self) -> ColdRule:
        """The answer for users and items without training ratings, and the biases."""
        warm = self.users.warm_rows, self.items.warm_rows
        return ColdRule(self.mean_rating, *warm, self.biases)

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
