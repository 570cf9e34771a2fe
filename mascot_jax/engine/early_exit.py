"""Rows cut off at the first component near zero: predictions, thresholds, order of components."""

from __future__ import annotations

import math
from functools import partial
from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts
from mascot_jax.engine import native  # noqa: F401  registers the targets
from mascot_jax.engine.kernels import Execution, block_size, row_layout
from mascot_jax.engine.state import TrainState
from mascot_jax.engine.tables import encoded, to_device, to_host
from mascot_jax.tables.rows import AT_A_TIME, Rows
from mascot_jax.tables.storage import STORAGES
from mascot_jax.tables.table import Table

NAME: Final = "early_exit"
"""Of the method that holds the thresholds, in ``TrainState.methods``."""
BISECTIONS: Final = 100
"""Enough for every bit of a float64."""


class Moments(NamedTuple):
    """Mean and standard deviation of all components of a table."""

    mean: float
    deviation: float


def thresholds_of(state: TrainState) -> tuple[float, float] | None:
    """Return the thresholds of users and items; None if updates do not end early, or not yet."""
    memory = state.methods.get(NAME)
    if memory is None:
        return None
    user, item = np.asarray(memory["thresholds"]).tolist()
    return (user, item) if user or item else None


@partial(jax.jit, static_argnames="execution")
def predict_to_stop(
    users: jax.Array,
    items: jax.Array,
    user_table: Table,
    item_table: Table,
    thresholds: jax.Array,
    *,
    execution: Execution,
) -> tuple[jax.Array, jax.Array]:
    """Return p_u . q_i up to the first component near zero, and which that is.

    Parameters
    ----------
    users, items
        uint32 ``(n,)``: rows, already checked to be in range.
    user_table, item_table
        Factors and groups.
    thresholds
        float32 ``(2,)``: magnitudes below which a component of a user's and of an item's row is
        near zero.
    execution
        Execution options.

    Returns
    -------
    predictions, stops
        float32 ``(n,)`` and uint32 ``(n,)``; k where no component is near zero.
    """
    shapes = [jax.ShapeDtypeStruct(users.shape, dtype) for dtype in (jnp.float32, jnp.uint32)]
    predictions, stops = jax.ffi.ffi_call("mascot_predict_to_stop", shapes)(
        users,
        items,
        user_table.starts,
        user_table.codes,
        item_table.starts,
        item_table.codes,
        thresholds,
        *user_table.stored.values(),
        *item_table.stored.values(),
        row=row_layout(user_table, item_table),
        user_tables=np.int64(len(user_table.stored)),
        block_size=np.int64(block_size(users.shape[0])),
        execution=execution.attribute(),
    )
    return predictions, stops


def threshold_of(rate: float, moments: Moments) -> float:
    """Return the T for which a normal variable lies in [-T, T] with probability ``rate``.

    It is rounded to a float32, so that the last bit of a machine's error function does not matter.
    """
    mean, deviation = moments
    if rate == 0 or deviation == 0:
        return 0.0
    low, high = 0.0, abs(mean) + 40 * deviation
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        edges = ((end - mean) / (deviation * math.sqrt(2)) for end in (middle, -middle))
        above, below = (math.erf(edge) for edge in edges)
        if (above - below) / 2 < rate:
            low = middle
        else:
            high = middle
    return float(np.float32(low))


def moments_of(rows: Rows) -> Moments:
    """Return mean and deviation of all components, in float64."""
    total = squares = 0.0
    for part in parts(len(rows), AT_A_TIME):
        values = rows.dense(np.arange(part.start, part.stop)).astype(np.float64)
        total += float(values.sum())
        squares += float(np.square(values).sum())
    count = len(rows) * rows.factors
    mean = total / count
    return Moments(mean, math.sqrt(max(squares / count - mean * mean, 0.0)))


def sparsity(rows: Rows, threshold: float) -> NDArray[np.float64]:
    """Return the share of rows in which each component is near zero, float64 ``(k,)``."""
    small = np.zeros(rows.factors, dtype=np.int64)
    for part in parts(len(rows), AT_A_TIME):
        dense = rows.dense(np.arange(part.start, part.stop))
        small += (np.abs(dense) < np.float32(threshold)).sum(axis=0)
    return small / len(rows)


def rearrangement(users: NDArray[np.float64], items: NDArray[np.float64]) -> NDArray[np.integer]:
    """Return the order of components: those first that are rarely near zero on both sides.

    The arguments are the sparsities of both tables, ``(k,)``; equal ones keep their order.
    """
    return np.argsort(users * items, kind="stable")


def rearranged(table: Table, order: NDArray[np.integer]) -> Table:
    """Return a new table whose components are in another order, in the same groups and storages.

    Rows with scales are rounded to nearest again; other values do not change.
    """
    rows = to_host(table)
    storages = [STORAGES[name] for name in table.stored]
    dense = rows.dense()[:, order]
    return to_device(encoded(dense, rows.starts, rows.codes, storages), storages)
