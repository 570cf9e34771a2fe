"""The state before the first epoch (Algorithm 1, line 2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.engine.codec import encode
from mascot_jax.engine.padding import LEAST_ROWS, places
from mascot_jax.engine.state import Memory, TrainState
from mascot_jax.engine.tables import allocate, group_arrays
from mascot_jax.methods import methods_of
from mascot_jax.settings import TrainPlan
from mascot_jax.tables.groups import check_groups
from mascot_jax.tables.storage import Storage
from mascot_jax.tables.table import Table

SCALE: Final = 0.01
"""Standard deviation of the initial factors."""

USUAL_FACTORS: Final = 128
"""For which ``SCALE`` suits interactions."""

VISITS: Final = 64
"""Visits to a row, over all epochs, that take half of its lift at the start (docs/recipes.md)."""

_STEP: Final = np.float32(SCALE / math.sqrt((2**32 - 1) / 3))
"""Gives ``bell`` this deviation: the sum of four integers from 0 to 2^16 - 1 has a variance of
(2^32 - 1) / 3."""

ROWS_AT_A_TIME: Final = 16_384
"""Limits the memory of random numbers while a table is filled: 16 MiB at k = 128."""


class Heads(NamedTuple):
    """What is added to all factors of each row; float32 ``(rows,)``."""

    users: NDArray[np.float32]
    items: NDArray[np.float32]


def initial_state(
    user_starts: NDArray[np.uint32],
    item_starts: NDArray[np.uint32],
    plan: TrainPlan,
    *,
    lift: float = 0.0,
    visits: Sequence[NDArray[np.int64]] = (),
    heads: Heads | None = None,
) -> TrainState:
    """Return random factors, rounded to the plan's first storage, which every group is in.

    ``bell`` draws them, with a standard deviation of 0.01; of interactions with k factors, of 0.01
    sqrt(128 / k): rows are equally large, and leave what they begin with equally soon.

    Parameters
    ----------
    user_starts, item_starts
        uint32 ``(g + 1,)``: first regrouped row of each group, then the number of rows.
    plan
        Method, storage, factors and seed are used.
    lift
        What products of rows are to contain (``settings.strength``). Rows that will hardly be
        visited begin with it.
    visits
        With a lift, int64 ``(g,)`` of users and of items: training ratings of each group.
    heads
        Instead of a lift: what is added to the random factors of each row.

    Raises
    ------
    ValueError
        If starts are not 0 first, then ascending.
    """
    user_key, item_key = jax.random.split(jax.random.key(plan.seed))
    if lift:
        root = math.sqrt(lift / plan.factors)
        pairs = zip((user_starts, item_starts), visits, strict=True)
        heads = Heads(*(_head_start(*pair, plan.epochs, root) for pair in pairs))
    of_users, of_items = heads or (None, None)
    users = _initial_table(user_starts, user_key, plan, "users", of_users)
    items = _initial_table(item_starts, item_key, plan, "items", of_items)
    return TrainState(
        users, items, jnp.uint32(0), jnp.uint32(plan.seed), memories(plan, users, items)
    )


def _head_start(
    starts: NDArray[np.uint32], visits: NDArray[np.int64], epochs: int, root: float
) -> NDArray[np.float32]:
    """Return what is added to all factors of each row, float32 ``(rows,)``.

    All of ``root`` for a row that is never visited, less the more often it is: such rows find a
    better direction for themselves.
    """
    sizes: NDArray[np.int64] = np.diff(starts).astype(np.int64)
    visits_of_row = epochs * visits / np.maximum(sizes, 1)
    share = VISITS / (VISITS + visits_of_row)
    return np.repeat((root * share).astype(np.float32), sizes)


def memories(plan: TrainPlan, users: Table, items: Table) -> dict[str, Memory]:
    """Return each method's memory before the first epoch."""
    return {name: method.init(users, items) for name, method in methods_of(plan).items()}


def _initial_table(
    starts: NDArray[np.uint32],
    key: jax.Array,
    plan: TrainPlan,
    name: str,
    head: NDArray[np.float32] | None = None,
) -> Table:
    first, *others = plan.storages
    codes = np.full(len(starts) - 1, first.code, dtype=np.uint8)
    check_groups(starts, codes, name)
    rows = int(starts[-1])
    size = places(rows, LEAST_ROWS)
    stored = {s.name: allocate(size, plan.factors, s) for s in (first, *others)}
    if head is not None:
        head = np.pad(head, (0, size - rows))
    scale = np.float32(math.sqrt(USUAL_FACTORS / plan.factors) if plan.of_interactions else 1.0)
    stored[first.name] = _fill(
        stored[first.name], key, np.uint32(rows), scale, head, plan.factors, first
    )
    return Table(plan.factors, dict(sorted(stored.items())), *group_arrays(starts, codes))


@partial(jax.jit, static_argnames=("factors", "storage"), donate_argnames="table")
def _fill(
    table: jax.Array,
    key: jax.Array,
    rows: jax.Array,
    scale: jax.Array,
    head: jax.Array | None,
    factors: int,
    storage: Storage,
) -> jax.Array:
    """Write random factors and zero padding into the first ``rows`` rows of a table.

    ``table`` is ``(places, stride)``, ``rows`` uint32 ``()``. Rows behind them may be written too.
    ``scale`` is float32 ``()``, of the random factors; ``head`` is float32 ``(places,)``: what is
    added to all factors of a row.
    """
    places, stride = table.shape
    most = min(ROWS_AT_A_TIME, places)  # written at a time
    chunk = jnp.minimum(ROWS_AT_A_TIME, rows)  # drawn at a time

    def fill_chunk(i: jax.Array, table: jax.Array) -> jax.Array:
        # The last chunk is moved back to fit, over rows that an earlier one wrote.
        first = jnp.minimum(i * chunk, rows - chunk)
        drawn = bell(jax.random.fold_in(key, i), (most, factors), chunk) * scale
        if head is not None:
            drawn += jax.lax.dynamic_slice(head, (first,), (most,))[:, None]
        stored = encode(storage, drawn)
        padded = jnp.pad(stored, ((0, 0), (0, stride - stored.shape[1])))
        return jax.lax.dynamic_update_slice(table, padded, (first, jnp.zeros_like(first)))

    chunks = (rows + chunk - 1) // chunk
    filled: jax.Array = jax.lax.fori_loop(jnp.uint32(0), chunks, fill_chunk, table)
    return filled


def bell(key: jax.Array, shape: tuple[int, int], rows: jax.Array) -> jax.Array:
    """Draw float32 ``shape`` from a bell curve of mean 0 and standard deviation 0.01.

    The first ``rows`` rows, uint32 ``()``, are those of a shape with only so many: they do not
    depend on the padding.

    A number is the centred sum of four random 16-bit integers, times a constant. The distribution
    is nearly normal (excess kurtosis -0.3, nothing beyond 3.5 deviations). Only the product is
    rounded, so that every machine draws the same bits; normal numbers need logarithms, whose last
    bit depends on the CPU.
    """
    words = _words(key, shape, rows)
    halves = (words & jnp.uint32(0xFFFF)) + (words >> jnp.uint32(16))
    total = (halves[0] + halves[1]).astype(jnp.int32)
    drawn: jax.Array = _STEP * (total - jnp.int32(2 * 0xFFFF)).astype(jnp.float32)
    return drawn


def _words(key: jax.Array, shape: tuple[int, int], rows: jax.Array) -> jax.Array:
    """Return uint32 ``(2, *shape)``: ``jax.random.bits(key, (2, rows, shape[1]))`` and more rows.

    A word is Threefry's of its place in that array, which has fewer than 2^32.
    """
    height, width = shape
    half, row, column = (
        jax.lax.broadcasted_iota(jnp.uint32, (2, *shape), axis) for axis in range(3)
    )
    place = (half * rows + row) * jnp.uint32(width) + column
    counts = jnp.concatenate([jnp.zeros(place.size, dtype=jnp.uint32), place.reshape(-1)])
    drawn = jax.extend.random.threefry_2x32(jax.random.key_data(key), counts)
    high, low = drawn.reshape(2, 2, height, width)
    words: jax.Array = high ^ low
    return words
