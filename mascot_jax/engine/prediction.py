"""Predict ratings from factors, with a rule for users and items without training ratings."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts
from mascot_jax.base.biases import Biases
from mascot_jax.base.units import Units
from mascot_jax.engine import kernels
from mascot_jax.engine.kernels import Execution
from mascot_jax.tables.table import Table

PAIRS_AT_A_TIME: Final = 1 << 20
"""Limits the memory of a prediction: 12 MiB per chunk."""


class ColdRule(NamedTuple):
    """Prediction for a cold pair, whose user or item has no training rating: the mean rating.

    With biases, both are added to the mean. Predictions of other pairs are the product of their
    rows, plus, with biases, the mean and the factors' share of both, less the lift.
    """

    mean_rating: float
    """In the ratings' own units."""
    warm_users: int
    """User rows from this one on are cold."""
    warm_items: int
    biases: Biases | None = None
    """In normal units."""
    units: Units = Units()
    """What factors and biases are in."""
    bias_share: float = 1.0
    """Share of the biases that is added to products of rows."""
    lift: float = 0.0
    """What products of rows contain beside, in normal units (``settings.strength``)."""

    def without_factors(self, biases: Biases | None) -> ColdRule:
        """Return a rule that predicts all pairs by the mean and these biases."""
        return ColdRule(self.mean_rating, 0, 0, biases, self.units)

    def is_cold(self, users: NDArray[np.uint32], items: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Return bool ``(n,)``: pairs with a cold user or item."""
        return (users >= self.warm_users) | (items >= self.warm_items)

    @property
    def mean(self) -> float:
        """The mean rating in normal units."""
        return (self.mean_rating - self.units.centre) / self.units.scale

    @property
    def base(self) -> float:
        """What a product of rows is added to, biases aside, in normal units."""
        return self.mean - self.lift if self.biases is not None or self.lift else 0.0

    def complete(
        self,
        products: NDArray[np.float32],
        users: NDArray[np.uint32],
        items: NDArray[np.uint32],
    ) -> NDArray[np.float32]:
        """Return predicted ratings of pairs, float32 ``(n,)``, given the products of their rows."""
        known = np.where(self.is_cold(users, items), np.float32(0), products)
        return self.units.rating(known + self.offset(users, items))

    def offset(self, users: NDArray[np.uint32], items: NDArray[np.uint32]) -> NDArray[np.float32]:
        """Return what is added to the product of a pair's rows, in normal units, float32 ``(n,)``.

        Cold pairs leave the product out.
        """
        cold = self.is_cold(users, items)
        if self.biases is None:
            return self.offset_of(cold)
        return self.offset_of(cold, self.biases.users[users], self.biases.items[items])

    def offset_of(
        self, cold: NDArray[np.bool_], *biases: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return ``offset`` of pairs whose biases, if any, are known.

        Parameters
        ----------
        cold
            bool, whether the pair leaves the product out; of any shape.
        biases
            float32, in normal units, broadcast to the shape of ``cold``.
        """
        offset: NDArray[np.float32] = np.where(cold, self.mean, self.base).astype(np.float32)
        share = np.where(cold, 1.0, self.bias_share).astype(np.float32)
        for bias in biases:
            offset = offset + share * bias
        return offset


def predict(
    users: Table,
    items: Table,
    user_rows: NDArray[np.uint32],
    item_rows: NDArray[np.uint32],
    rule: ColdRule,
    *,
    execution: Execution,
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Predict pairs in chunks.

    Parameters
    ----------
    users, items
        Factors and groups.
    user_rows, item_rows
        uint32 ``(n,)``: regrouped rows.
    rule
        Rule for cold pairs, and biases.
    execution
        Execution options.

    Yields
    ------
    slice, NDArray
        The pairs of a chunk, and their predictions, float32.

    Raises
    ------
    IndexError
        If a row does not exist.
    """
    for rows, table, kind in ((user_rows, users, "user"), (item_rows, items, "item")):
        if len(rows):
            check_row(int(rows.max()), table, kind)
    for part in parts(len(user_rows), PAIRS_AT_A_TIME):
        dots = products(
            jnp.asarray(user_rows[part]),
            jnp.asarray(item_rows[part]),
            users,
            items,
            execution=execution,
        )
        yield part, rule.complete(np.asarray(dots), user_rows[part], item_rows[part])


products = partial(jax.jit, static_argnames="execution")(kernels.predict)


def check_row(row: int, table: Table, kind: str) -> None:
    """Raise an IndexError if a table has no such row, as the kernels do not check rows."""
    if row >= len(table):
        raise IndexError(f"{kind} row {row} does not exist: there are {len(table)}")
