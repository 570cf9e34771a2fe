"""The state before the first epoch (Algorithm 1, line 2)."""

from __future__ import annotations

import math
from functools import partial
from typing import Final

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.engine import kernels
from mascot_jax.engine.codec import encode
from mascot_jax.engine.state import TrainState
from mascot_jax.methods.word_length import policy_of
from mascot_jax.settings import TrainSettings
from mascot_jax.tables.storage import Storage
from mascot_jax.tables.table import Side

SCALE: Final = 0.01
"""Standard deviation of the initial factors."""

_STEP: Final = np.float32(SCALE / math.sqrt((2**32 - 1) / 3))
"""Makes it so: the sum of four of 0 to 2^16 - 1 has a variance of (2^32 - 1) / 3."""

ROWS_AT_A_TIME: Final = 16_384
"""Bounds the memory for random numbers on their way into a table: 16 MiB at k = 128."""


MOST_GROUPS: Final = 65_536
"""Of a side: as regroup's settings allow, and as many as the kernels can number."""


def initial_state(
    user_starts: NDArray[np.uint32], item_starts: NDArray[np.uint32], settings: TrainSettings
) -> TrainState:
    """Return random factors, rounded to the storage, every group in the same one.

    Their distribution is that of ``bell``, with a standard deviation of 0.01.

    Parameters
    ----------
    user_starts, item_starts
        uint32 ``(g + 1,)``: group tables of the regrouped rows.
    settings
        Method, factors and seed count.

    Raises
    ------
    ValueError
        If starts are not those of groups: 0 first, then rising.
    """
    settings = settings.resolved()
    for starts, side in ((user_starts, "user"), (item_starts, "item")):
        _check_starts(starts, side)
    users, items = jax.random.split(jax.random.key(settings.seed))
    policy = policy_of(settings.method, settings.comparators)
    return TrainState(
        _initial_side(user_starts, users, settings),
        _initial_side(item_starts, items, settings),
        epoch=jnp.uint32(0),
        seed=jnp.uint32(settings.seed),
        memory={} if policy is None else policy.begin(settings.factors),
    )


def _check_starts(starts: NDArray[np.uint32], side: str) -> None:
    """Check a group table once, on the host: kernels on a device cannot refuse it."""
    if len(starts) < 2 or starts[0] != 0 or (np.diff(starts.astype(np.int64)) <= 0).any():
        raise ValueError(f"{side} group starts must be 0, then rise: {starts}")
    if len(starts) - 1 > MOST_GROUPS:
        raise ValueError(f"{len(starts) - 1} {side} groups: must be at most {MOST_GROUPS}")


def _initial_side(starts: NDArray[np.uint32], key: jax.Array, settings: TrainSettings) -> Side:
    groups, rows = len(starts) - 1, int(starts[-1])
    storages = settings.storages
    tables = {s.name: kernels.allocate_table(rows, settings.factors, s) for s in storages}
    first = storages[0]
    tables[first.name] = _fill(tables[first.name], key, settings.factors, first)
    return Side(
        dict(sorted(tables.items())),
        starts=jnp.asarray(starts, dtype=jnp.uint32),
        codes=jnp.full(groups, first.code, dtype=jnp.uint8),
        baseline=jnp.full(groups, jnp.nan, dtype=jnp.float32),
    )


@partial(jax.jit, static_argnames=("factors", "storage"), donate_argnames="table")
def _fill(table: jax.Array, key: jax.Array, factors: int, storage: Storage) -> jax.Array:
    """Write random factors and zero padding into every row of a table ``(rows, stride)``."""
    rows, stride = table.shape
    chunk = min(ROWS_AT_A_TIME, rows)

    def fill_chunk(i: jax.Array, table: jax.Array) -> jax.Array:
        stored = encode(storage, bell(jax.random.fold_in(key, i), (chunk, factors)))
        padded = jnp.pad(stored, ((0, 0), (0, stride - stored.shape[1])))
        # The last chunk is moved back to fit, over rows that an earlier one wrote.
        first = jnp.minimum(i * chunk, rows - chunk)
        return jax.lax.dynamic_update_slice(table, padded, (first, jnp.zeros_like(first)))

    filled: jax.Array = jax.lax.fori_loop(0, -(-rows // chunk), fill_chunk, table)
    return filled


def bell(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Draw from a bell of mean 0 and standard deviation 0.01, float32 ``shape``.

    A number is the centred sum of four random 16-bit integers, times a constant. It is nearly
    normal (excess kurtosis -0.3, nothing beyond 3.5 deviations) and exact but for the one rounding
    of the product, so that every machine draws the same bits; normal numbers need logarithms, whose
    last bit depends on the CPU.
    """
    words = jax.random.bits(key, (2, *shape), jnp.uint32)
    halves = (words & jnp.uint32(0xFFFF)) + (words >> jnp.uint32(16))
    total = (halves[0] + halves[1]).astype(jnp.int32)
    drawn: jax.Array = _STEP * (total - jnp.int32(2 * 0xFFFF)).astype(jnp.float32)
    return drawn
