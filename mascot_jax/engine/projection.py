"""Project the rows of both tables onto fewer factors, by the CPU's native kernels.

A GPU does it by ``projection_in_jax``. The basis is orthonormal and spans the joint principal axes
of both tables (``ffi/core/projection.h``). It, and the projected rows, are the same bits on every
machine, with every instruction set and for every number of threads.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from mascot_jax.engine import native  # noqa: F401  registers the targets
from mascot_jax.engine.kernels import Execution, extent, row_layout
from mascot_jax.engine.ratings import Ratings
from mascot_jax.tables.storage import STORAGES
from mascot_jax.tables.table import Table


@partial(jax.jit, static_argnames=("kept", "execution"))
def joint_basis(
    ratings: Ratings, users: Table, items: Table, *, kept: int, execution: Execution
) -> jax.Array:
    """Return the basis to project onto, float32 ``(k, kept)``.

    Parameters
    ----------
    ratings
        A row weighs as much as it has ratings here.
    users, items
        Tables of finite factors, k = 1 to 1024.
    kept
        Columns of the basis, 1 to k.
    execution
        Execution options.
    """
    shape = jax.ShapeDtypeStruct((users.factors, kept), jnp.float32)
    found: jax.Array = jax.ffi.ffi_call("mascot_joint_basis", shape)(
        jnp.asarray(ratings.users),
        jnp.asarray(ratings.items),
        users.starts,
        users.codes,
        items.starts,
        items.codes,
        jnp.concatenate([jnp.zeros(2, jnp.uint32), extent(ratings)]),
        *users.stored.values(),
        *items.stored.values(),
        row=row_layout(users, items),
        user_tables=np.int64(len(users.stored)),
        execution=execution.attribute(),
    )
    return found


@partial(jax.jit, static_argnames=("of_items", "rounding", "execution"))
def project(
    table: Table,
    basis: jax.Array,
    seed: jax.Array,
    epoch: jax.Array,
    *,
    of_items: bool,
    rounding: str,
    execution: Execution,
) -> Table:
    """Return a new table of rows times a basis, in the same groups and storages.

    Parameters
    ----------
    table
        The table, which stays as it is.
    basis
        float32 ``(k, kept)``.
    seed, epoch
        uint32 ``()``: decide stochastic roundings, with each row's number and ``of_items``.
    of_items
        Whether it is the table of items.
    rounding
        Of stores in fewer than 32 bits: ``nearest`` or ``stochastic``.
    execution
        Execution options.
    """
    kept = basis.shape[1]
    stored = {
        name: jax.ShapeDtypeStruct((array.shape[0], STORAGES[name].stride(kept)), array.dtype)
        for name, array in table.stored.items()
    }
    arrays = jax.ffi.ffi_call("mascot_project", list(stored.values()))(
        basis,
        table.starts,
        table.codes,
        jnp.concatenate([jnp.stack([seed, epoch]), jnp.zeros(4, jnp.uint32)]),
        *table.stored.values(),
        row=row_layout(table),
        of_items=of_items,
        rounding=rounding,
        execution=execution.attribute(),
    )
    return Table(kept, dict(zip(stored, arrays, strict=True)), table.starts, table.codes)
