"""The native kernels as JAX functions, one per FFI target.

Operand order is that of ``ffi/bind/signatures.h``. Tables are updated in place where the caller's
jit donates them. Shapes: n ratings, g groups, k factors.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from mascot_jax.engine import native  # noqa: F401  registers the targets
from mascot_jax.engine.ratings import Ratings
from mascot_jax.tables.storage import STORAGES, WHOLE_ROW
from mascot_jax.tables.table import Table

STATISTICS = 4
"""Columns of the sums after the k of the gradient.

Squared norms, samples, lost and whole updates (squared).
"""


LARGEST_BLOCK = 4096
"""Ratings that a thread plans at a time: their plan stays in its first-level cache."""


class Execution(NamedTuple):
    """How the kernels run; hashable, fixed at compile time. Each back end reads what is its own."""

    threads: int = 1
    """CPU only."""
    instruction_set: str = "auto"
    """CPU only: ``auto`` takes the best this CPU has; else ``avx512``, ``avx2`` or ``portable``."""
    lookup: str = "direct"
    """How the storage of a row is found; ``search`` and ``per-row`` are there to be compared with.

    ``direct`` reads it from a small table of cells, and on a CPU not at all where a whole block of
    ratings has the same; ``search`` tries the groups from the most-rated one on (the paper's
    MASCOT-opt); ``per-row`` reads every row's own metadata in memory (the paper's MASCOT-naive).
    """
    writes: str = "add"
    """CUDA only: how a row is written while others write it too.

    ``add`` adds the change atomically, so that no update is lost; ``store`` overwrites the row, as
    the paper does.
    """

    def attribute(self) -> dict[str, np.int32 | str]:
        """Return the FFI attribute ``execution``, typed as the handlers decode it."""
        return self._asdict() | {"threads": np.int32(self.threads)}


def block_size(count: int) -> int:
    """Return the ratings per block; an epoch visits the blocks in a new order each time.

    A power of two from 256 to 4096 that gives about a thousand blocks or more where the data allow.
    """
    wanted = max(count // 1024, 1)
    return min(max(1 << (wanted.bit_length() - 1), 256), LARGEST_BLOCK)


@partial(jax.jit, static_argnames=("blocks", "longest_run", "least_sweeps", "threads"))
def lay_out(
    users: jax.Array,
    items: jax.Array,
    ratings: jax.Array,
    user_part: ArrayLike,
    item_part: ArrayLike,
    seed: ArrayLike,
    *,
    blocks: int,
    longest_run: int,
    least_sweeps: int,
    threads: int,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Sort ratings into blocks, and within these into runs of one user; on a CPU only.

    Parameters
    ----------
    users, items, ratings
        uint32, uint32 and float32 ``(n,)``: rows that are known to be in range, and ratings.
    user_part, item_part
        uint32 ``(rows,)`` of each side: a rating's block is its user's part plus its item's.
        Within a block, ratings stay in their order but for runs.
    seed
        uint32 ``()``: where each user's runs begin.
    blocks
        More than any two parts add up to.
    longest_run
        Ratings of one user that follow one another; 0: no runs.
    least_sweeps
        Parts of a block that runs are dealt to, each in the order of the users; more where a user
        has more runs.
    threads
        The result does not depend on their number.

    Returns
    -------
    users, items, ratings, begin
        In the new order; uint32 ``(blocks,)``: the number of each block's first.
    """
    count = users.shape
    shapes = [(count, jnp.uint32), (count, jnp.uint32), (count, jnp.float32), ((blocks,), "uint32")]
    call = jax.ffi.ffi_call("mascot_lay_out", [jax.ShapeDtypeStruct(*s) for s in shapes])
    users, items, ratings, begin = call(
        users,
        items,
        ratings,
        jnp.asarray(user_part, dtype=jnp.uint32),
        jnp.asarray(item_part, dtype=jnp.uint32),
        jnp.asarray(seed, dtype=jnp.uint32).reshape(1),
        longest_run=np.int64(longest_run),
        least_sweeps=np.int64(least_sweeps),
        threads=np.int32(threads),
    )
    return users, items, ratings, begin


def run_epoch(
    ratings: Ratings,
    users: Table,
    items: Table,
    rates: jax.Array,
    counters: jax.Array,
    *,
    rounding: str = "nearest",
    arithmetic: str = "float32",
    execution: Execution,
) -> tuple[Table, Table, jax.Array, jax.Array]:
    """Visit every rating once, updating both its rows in place (Eq. 2, 3; Algorithm 1, l. 4-13).

    Parameters
    ----------
    ratings
        In the order in which they are numbered. With strata, no two threads ever work on the same
        row, and each row's updates come in an order that the threads have no part in: results are
        the same bits for every number of threads.
    users, items
        Every group's storage has an array.
    rates
        float32 ``(5,)``: learning rate, user_reg, item_reg, sample ratio (0: no sums), quantiser.
    counters
        uint32 ``(2,)``: seed, epoch.
    rounding
        How rows of fewer than 32 bits are stored: ``nearest`` or ``stochastic``.
    arithmetic
        What updates are computed in: ``float32``; or, of methods to be compared with, ``float16``
        (all rows in float16), ``mixed`` (all in float32; the quantiser is the loss scale) or
        ``fixed`` (all in float32; the quantiser is the word length in bits, from 24 on as float32).
        These three sample nothing. ``ffi/core/update/arithmetic.h`` defines them.
    execution
        How to run.

    Returns
    -------
    users, items, user sums, item sums
        The updated tables, and per group of each the sums over its sampled ratings, float32
        ``(g, k + 4)``.
    """
    sums = [
        jax.ShapeDtypeStruct((table.groups, table.factors + STATISTICS), jnp.float32)
        for table in (users, items)
    ]
    user_sums, item_sums, *arrays = _walk(
        "mascot_epoch" if ratings.strata is None else "mascot_strata_epoch",
        ratings,
        users,
        items,
        rates,
        counters,
        execution,
        sums,
        rounding=rounding,
        arithmetic=arithmetic,
        **({} if ratings.strata is None else {"conflict_free": ratings.conflict_free}),
    )
    return *_renewed(users, items, arrays), user_sums, item_sums


def run_stream(
    ratings: Ratings,
    users: Table,
    items: Table,
    rates: jax.Array,
    counters: jax.Array,
    *,
    execution: Execution,
) -> tuple[Table, Table]:
    """Load and store the rows that ``run_epoch`` would, in its order: its bound.

    Nothing is computed.
    """
    arrays = _walk("mascot_stream", ratings, users, items, rates, counters, execution, [])
    return _renewed(users, items, arrays)


def promote(table: Table, new_codes: jax.Array, *, execution: Execution) -> Table:
    """Convert, in place, the rows of groups that have a lower code in ``new_codes``.

    That is uint8 ``(g,)``. Rows stay what they are, but from int8 to float16 they are rounded to
    nearest.
    """
    call = jax.ffi.ffi_call(
        "mascot_promote",
        _like(table),
        input_output_aliases={3 + i: i for i in range(len(table.stored))},
    )
    arrays = call(
        table.starts,
        table.codes,
        new_codes,
        *table.stored.values(),
        row=_row(table),
        execution=execution.attribute(),
    )
    return dataclasses.replace(_with_arrays(table, arrays), codes=new_codes)


def check_finite(table: Table, *, execution: Execution) -> jax.Array:
    """Return uint8 ``(g,)``: 1 where all factors of a group are finite."""
    shape = jax.ShapeDtypeStruct((table.groups,), jnp.uint8)
    return jax.ffi.ffi_call("mascot_check_finite", shape)(
        table.starts,
        table.codes,
        *table.stored.values(),
        row=_row(table),
        execution=execution.attribute(),
    )


def predict(
    users: jax.Array,
    items: jax.Array,
    user_table: Table,
    item_table: Table,
    *,
    execution: Execution,
) -> jax.Array:
    """Return float32 ``(n,)``: p_u . q_i for each pair of rows.

    ``users`` and ``items`` are uint32 rows that are known to be in range.
    """
    return jax.ffi.ffi_call("mascot_predict", jax.ShapeDtypeStruct(users.shape, jnp.float32))(
        users,
        items,
        *_groups(user_table, item_table),
        *user_table.stored.values(),
        *item_table.stored.values(),
        row=_row(user_table, item_table),
        user_tables=np.int64(len(user_table.stored)),
        block_size=np.int64(block_size(users.shape[0])),
        execution=execution.attribute(),
    )


def _walk(
    target: str,
    ratings: Ratings,
    users: Table,
    items: Table,
    rates: jax.Array,
    counters: jax.Array,
    execution: Execution,
    results: Sequence[jax.ShapeDtypeStruct],
    **attributes: str | bool,
) -> list[jax.Array]:
    """Call a target that goes over the ratings.

    Returns its results, then the arrays of both tables, aliased to the operands.
    """
    data = (ratings.users, ratings.items, ratings.ratings)
    strata = ratings.strata if target == "mascot_strata_epoch" else None
    operands = [*data, *_groups(users, items), rates, counters, *(strata or ())]
    arrays = [*users.stored.values(), *items.stored.values()]
    call = jax.ffi.ffi_call(
        target,
        [*results, *_like(users), *_like(items)],
        input_output_aliases={len(operands) + i: len(results) + i for i in range(len(arrays))},
    )
    return list(
        call(
            *operands,
            *arrays,
            row=_row(users, items),
            user_tables=np.int64(len(users.stored)),
            block_size=np.int64(block_size(len(ratings)) if strata is None else LARGEST_BLOCK),
            execution=execution.attribute(),
            **attributes,
        )
    )


def _row(*tables: Table) -> dict[str, np.int64]:
    """Return the FFI attribute ``row``: what the rows of these tables hold."""
    blocks = {STORAGES[name].scale_block for table in tables for name in table.stored} - {0}
    return {
        "factors": np.int64(tables[0].factors),
        "scale_block": np.int64(max(blocks, default=WHOLE_ROW)),
    }


def _groups(users: Table, items: Table) -> tuple[jax.Array, ...]:
    return users.starts, users.codes, items.starts, items.codes


def _like(table: Table) -> list[jax.ShapeDtypeStruct]:
    return [jax.ShapeDtypeStruct(array.shape, array.dtype) for array in table.stored.values()]


def _with_arrays(table: Table, arrays: Sequence[jax.Array]) -> Table:
    return dataclasses.replace(table, stored=dict(zip(table.stored, arrays, strict=True)))


def _renewed(users: Table, items: Table, arrays: Sequence[jax.Array]) -> tuple[Table, Table]:
    count = len(users.stored)
    return _with_arrays(users, arrays[:count]), _with_arrays(items, arrays[count:])
