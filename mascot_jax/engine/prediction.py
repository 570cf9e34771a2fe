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
from mascot_jax.engine import kernels
from mascot_jax.engine.kernels import Execution
from mascot_jax.tables.table import Table

PAIRS_AT_A_TIME: Final = 1 << 20
"""Limits the memory of a prediction: 12 MiB per chunk."""


class ColdRule(NamedTuple):
    """Prediction for a cold pair, whose user or item has no training rating: the mean rating.

    With biases, both are added to the mean in every prediction, and factors learn the remainder.
    """

    mean_rating: float
    warm_users: int
    """User rows from this one on are cold."""
    warm_items: int
    biases: Biases | None = None

    def is_cold(self, users: NDArray[np.uint32], items: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Return bool ``(n,)``: pairs with a cold user or item."""
        return (users >= self.warm_users) | (items >= self.warm_items)

    def complete(
        self,
        products: NDArray[np.float32],
        users: NDArray[np.uint32],
        items: NDArray[np.uint32],
    ) -> NDArray[np.float32]:
        """Return the predictions of pairs, float32 ``(n,)``, given the products of their rows."""
        known = np.where(self.is_cold(users, items), np.float32(0), products)
        return known + self.offset(users, items)

    def offset(self, users: NDArray[np.uint32], items: NDArray[np.uint32]) -> NDArray[np.float32]:
        """Return what predictions add to the product of a pair's rows, float32 ``(n,)``.

        Cold pairs leave the product out.
        """
        mean = np.float32(self.mean_rating)
        if self.biases is None:
            return np.where(self.is_cold(users, items), mean, np.float32(0))
        return mean + self.biases.users[users] + self.biases.items[items]


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
