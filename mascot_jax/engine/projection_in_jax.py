"""Project the rows of both tables onto fewer factors, in JAX: what a GPU does.

The basis is that of ``projection``, but sums are in the order that XLA makes of them, and
stochastic roundings have draws of their own. The host finds the axes, by the code that a CPU has.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import jax
import jax.numpy as jnp
import mascot_ffi
import numpy as np
from numpy.typing import NDArray

from mascot_jax.engine import native  # noqa: F401  reports why mascot_ffi does not load
from mascot_jax.engine.codec import decode, encode
from mascot_jax.engine.ratings import Ratings
from mascot_jax.engine.tables import allocate
from mascot_jax.tables.storage import STORAGES
from mascot_jax.tables.table import Table

AT_A_TIME: Final = 16_384
"""Rows decoded at a time, which limits memory, and whose moments are added up in float32."""


def joint_basis(ratings: Ratings, users: Table, items: Table, *, kept: int) -> jax.Array:
    """Return the basis to project onto, float32 ``(k, kept)``; the arguments are ``projection``'s.

    The moments of so many rows are added up in float32, on the device; those of all in float64, on
    the host.
    """
    used = slice(len(ratings))
    joint = np.zeros((users.factors, users.factors))
    for table, rated in ((users, ratings.users), (items, ratings.items)):
        moments = np.asarray(_moments(table, jnp.asarray(rated)[used])).sum(0, dtype=np.float64)
        trace = np.trace(moments)
        if trace > 0:  # else all rows are zero: any axes will do
            joint += (moments + moments.T) / (2 * trace)
    basis: NDArray[np.float32] = np.empty((users.factors, kept), dtype=np.float32)
    mascot_ffi.write_mixed_axes(joint, basis)
    return jnp.asarray(basis)


def project(
    table: Table,
    basis: jax.Array,
    seed: jax.Array,
    epoch: jax.Array,
    *,
    of_items: bool,
    rounding: str,
) -> Table:
    """Return a new table of rows times a basis; the arguments are ``projection``'s."""
    stored, key = room_for(table, basis.shape[1]), None
    if rounding == "stochastic":
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), epoch), int(of_items))
    return Table(basis.shape[1], _project(stored, table, basis, key), table.starts, table.codes)


def room_for(table: Table, kept: int) -> dict[str, jax.Array]:
    """Return uninitialised arrays for rows of fewer factors, by storage."""
    return {
        name: allocate(array.shape[0], kept, STORAGES[name]) for name, array in table.stored.items()
    }


@jax.jit
def _moments(table: Table, rated: jax.Array) -> jax.Array:
    """Return weighted second moments of the rows, float32 ``(parts, k, k)``.

    ``rated`` is uint32 ``(n,)``: the row of each rating, which weigh the rows.
    """
    places, size, count = _parts(table)
    weights = jnp.zeros(places, jnp.uint32).at[rated].add(1).astype(jnp.float32)

    def of_part(part: jax.Array) -> jax.Array:
        first, rows = _decoded(table, part)
        own = jax.lax.dynamic_slice(weights, (first,), (size,))
        number = first + jnp.arange(size, dtype=jnp.int32)
        own = jnp.where(number >= part * size, own, jnp.float32(0))  # others have been counted
        product: jax.Array = jnp.matmul(
            (rows * own[:, None]).T, rows, precision=jax.lax.Precision.HIGHEST
        )
        return product

    moments: jax.Array = jax.lax.map(of_part, jnp.arange(count, dtype=jnp.int32))
    return moments


@partial(jax.jit, donate_argnames="stored")
def _project(
    stored: dict[str, jax.Array], table: Table, basis: jax.Array, key: jax.Array | None
) -> dict[str, jax.Array]:
    """Write rows times a basis to the arrays of a new table."""
    _, size, count = _parts(table)
    kept = basis.shape[1]

    def write(part: jax.Array, arrays: dict[str, jax.Array]) -> dict[str, jax.Array]:
        first, rows = _decoded(table, part)
        values = jnp.matmul(rows, basis, precision=jax.lax.Precision.HIGHEST)
        draws = None if key is None else _draws(key, first, (size, kept))

        def written(name: str, array: jax.Array) -> jax.Array:
            row = encode(STORAGES[name], values, draws)
            row = jnp.pad(row, ((0, 0), (0, array.shape[1] - row.shape[1])))
            return jax.lax.dynamic_update_slice(array, row, (first, jnp.int32(0)))

        return {name: written(name, array) for name, array in arrays.items()}

    found: dict[str, jax.Array] = jax.lax.fori_loop(0, count, write, stored)
    return found


def _parts(table: Table) -> tuple[int, int, int]:
    """Return the places of a table, the rows of a part, and the parts that cover all places."""
    places = next(iter(table.stored.values())).shape[0]
    size = min(AT_A_TIME, places)
    return places, size, -(-places // size)


def _decoded(table: Table, part: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return a part's first row and its rows, float32 ``(size, k)``; zeros where there is no row.

    The last part ends with the table, and so begins among the rows of the one before.
    """
    places, size, _ = _parts(table)
    first = jnp.minimum(part * size, places - size)
    numbers = (first + jnp.arange(size, dtype=jnp.int32)).astype(jnp.uint32)
    group = jnp.searchsorted(table.starts, numbers, side="right") - 1
    codes = table.codes.at[group].get(mode="clip")
    rows = jnp.zeros((size, table.factors), jnp.float32)
    for name, array in table.stored.items():
        storage = STORAGES[name]
        chosen = (codes == storage.code) & (numbers < table.starts[-1])
        own = jax.lax.dynamic_slice(array, (first, jnp.int32(0)), (size, array.shape[1]))
        rows = jnp.where(chosen[:, None], decode(storage, own, table.factors), rows)
    return first, rows


def _draws(key: jax.Array, first: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """Return uint32 random bits of rows from ``first`` on, each row by its number."""
    numbers = first + jnp.arange(shape[0], dtype=jnp.int32)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, numbers)
    return jax.vmap(partial(jax.random.bits, shape=shape[1:]))(keys)
