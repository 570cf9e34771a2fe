"""The native kernels as JAX functions, one per FFI target.

Operands are in the order of ``ffi/bind/signatures.h``. Tables are updated in place if the caller's
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
from mascot_jax.engine.ratings import Ratings, extent_of
from mascot_jax.tables.rows import Rows
from mascot_jax.tables.storage import STORAGES, WHOLE_ROW
from mascot_jax.tables.table import Table

STATISTICS = 4
"""Columns of the sums after the k columns of the gradient.

They are squared norms, samples, and squared norms of the lost and of the whole updates.
"""


LARGEST_BLOCK = 4096
"""Most ratings that a thread plans at a time: the plan stays in its first-level cache."""


class Execution(NamedTuple):
    """Execution options of the kernels; hashable, static under jit. Each back end reads its own."""

    threads: int = 1
    """CPU only: number of threads."""
    instruction_set: str = "auto"
    """CPU only: ``auto`` uses the best that this CPU has; else ``avx512``, ``avx2``,
    ``neon`` or ``portable``."""
    lookup: str = "direct"
    """How to find a row's storage; ``search`` and ``per-row`` are for comparison.

    ``direct`` reads a small table of cells; a CPU skips this if a whole block of ratings has the
    same storage. ``search`` tries the groups from the most-rated one on (the paper's MASCOT-opt).
    ``per-row`` reads each row's own metadata in memory (the paper's MASCOT-naive).
    """
    writes: str = "add"
    """CUDA only: how to write a row that other threads write too.

    ``add`` adds the change atomically, so that no update is lost, but int8 rows are overwritten.
    ``store`` overwrites all rows, as the paper does.
    """

    def attribute(self) -> dict[str, np.int32 | str]:
        """Return the FFI attribute ``execution``, typed as the handlers decode it."""
        return self._asdict() | {"threads": np.int32(self.threads)}


def block_size(count: int) -> int:
    """Return the number of ratings per block; each epoch visits the blocks in a new order.

    The size is a power of two from 256 to 4096 that gives about a thousand blocks or more, if there
    are enough ratings.
    """
    wanted = max(count // 1024, 1)
    return min(max(1 << (wanted.bit_length() - 1), 256), LARGEST_BLOCK)


@partial(
    jax.jit, static_argnames=("places", "block_places", "longest_run", "least_sweeps", "threads")
)
def lay_out(
    users: jax.Array,
    items: jax.Array,
    ratings: jax.Array,
    user_part: ArrayLike,
    item_part: ArrayLike,
    seed: ArrayLike,
    *,
    count: ArrayLike,
    blocks: ArrayLike,
    places: int,
    block_places: int,
    longest_run: int,
    least_sweeps: int,
    threads: int,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Sort ratings into blocks, and within a block into runs of one user; CPU only.

    Parameters
    ----------
    users, items, ratings
        uint32, uint32 and float32, of ``count`` entries or more: rows, already checked to be in
        range, and ratings.
    user_part, item_part
        uint32 ``(rows,)`` of each side: a rating's block is its user's part plus its item's.
        Ratings of a block keep their order, except for runs.
    seed
        uint32 ``()``: decides where each user's runs begin.
    count
        uint32 ``()``: number of ratings.
    blocks
        uint32 ``()``: number of blocks; greater than the sum of any two parts.
    places
        Size of the resulting columns, at least ``count``.
    block_places
        Size of the result ``begin``, at least ``blocks``.
    longest_run
        Most ratings in a run; 0: no runs.
    least_sweeps
        Least number of sweeps of a block, each sorted by user, that runs are distributed to. There
        are more sweeps if a user has more runs.
    threads
        Number of threads; the result does not depend on it.

    Returns
    -------
    users, items, ratings, begin
        The ratings in the new order, ``(places,)``, and uint32 ``(block_places,)``: the number of
        each block's first. The rest of the arrays has no meaning.
    """
    size = (places,)
    shapes = [(size, jnp.uint32), (size, jnp.uint32), (size, jnp.float32)]
    shapes.append(((block_places,), jnp.uint32))
    call = jax.ffi.ffi_call("mascot_lay_out", [jax.ShapeDtypeStruct(*s) for s in shapes])
    users, items, ratings, begin = call(
        users,
        items,
        ratings,
        jnp.asarray(user_part, dtype=jnp.uint32),
        jnp.asarray(item_part, dtype=jnp.uint32),
        jnp.stack([jnp.asarray(x, dtype=jnp.uint32) for x in (seed, count, blocks)]),
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

    Of interactions, visit the negatives that the epoch draws as well (``ffi/core/interactions``).

    Parameters
    ----------
    ratings
        Ratings, numbered by position. If they are ``conflict_free``, no two threads ever work on
        the same row, and the order of a row's updates does not depend on the threads: results are
        bit-identical for every number of threads.
    users, items
        Tables with an array for every group's storage.
    rates
        float32 ``(5,)``: learning rate, user_reg, item_reg, sample ratio (0: no sums), quantiser.
        Also ``(7,)``: two thresholds follow, of users' and of items' rows. An update in float32
        arithmetic then ends at the first component whose magnitude is below one of them
        (``ffi/core/update/early_exit.h``); on a GPU no row may be in int8.
    counters
        uint32 ``(2,)``: seed, epoch.
    rounding
        Rounding of stores in fewer than 32 bits: ``nearest`` or ``stochastic``.
    arithmetic
        Arithmetic of updates: ``float32``; or, for methods to compare with, ``float16`` (all rows
        in float16), ``mixed`` (all rows in float32; the quantiser is the loss scale) or ``fixed``
        (all rows in float32; the quantiser is the word length in bits, and from 24 on it acts as
        float32). These three sample nothing. ``ffi/core/update/arithmetic.h`` defines them.
    execution
        Execution options.

    Returns
    -------
    users, items, user sums, item sums
        The updated tables, and each group's sums over its sampled ratings, float32 ``(g, k + 4)``.
    """
    sums = [
        jax.ShapeDtypeStruct((table.groups, table.factors + STATISTICS), jnp.float32)
        for table in (users, items)
    ]
    user_sums, item_sums, *arrays = _walk(
        _epoch_target(ratings),
        ratings,
        users,
        items,
        rates,
        counters,
        execution,
        sums,
        rounding=rounding,
        arithmetic=arithmetic,
        **_visiting(ratings),
    )
    return *renewed(users, items, arrays), user_sums, item_sums


def _visiting(ratings: Ratings) -> dict[str, str | bool | np.int64]:
    """Return the FFI attributes of ``_epoch_target`` that say how blocks are visited."""
    found: dict[str, str | bool | np.int64] = {}
    if ratings.strata is not None:
        found["conflict_free"] = ratings.conflict_free
    if ratings.negatives is not None:
        found["loss"] = ratings.negatives.loss
    elif ratings.strata is not None:
        found["rotations"] = np.int64(ratings.rotations)
    return found


def _epoch_target(ratings: Ratings) -> str:
    if ratings.negatives is not None:
        return "mascot_interactions_epoch"
    return "mascot_epoch" if ratings.strata is None else "mascot_strata_epoch"


def run_stream(
    ratings: Ratings,
    users: Table,
    items: Table,
    rates: jax.Array,
    counters: jax.Array,
    *,
    execution: Execution,
) -> tuple[Table, Table]:
    """Load and store the rows of ``run_epoch`` in its order, computing nothing: its speed limit."""
    arrays = _walk("mascot_stream", ratings, users, items, rates, counters, execution, [])
    return renewed(users, items, arrays)


def promote(table: Table, new_codes: jax.Array, *, execution: Execution) -> Table:
    """Convert, in place, the rows of groups that have a lower code in ``new_codes``.

    ``new_codes`` is uint8 ``(g,)``. Values do not change, except that int8 to float16 rounds to
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
        row=row_layout(table),
        execution=execution.attribute(),
    )
    return dataclasses.replace(with_arrays(table, arrays), codes=new_codes)


def check_finite(table: Table, *, execution: Execution) -> jax.Array:
    """Return uint8 ``(g,)``: 1 for groups whose factors are all finite."""
    shape = jax.ShapeDtypeStruct((table.groups,), jnp.uint8)
    return jax.ffi.ffi_call("mascot_check_finite", shape)(
        table.starts,
        table.codes,
        *table.stored.values(),
        row=row_layout(table),
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
    """Return p_u . q_i for each pair of rows, float32 ``(n,)``.

    ``users`` and ``items`` are uint32 ``(n,)``: rows, already checked to be in range.
    """
    return jax.ffi.ffi_call("mascot_predict", jax.ShapeDtypeStruct(users.shape, jnp.float32))(
        users,
        items,
        *_groups(user_table, item_table),
        *user_table.stored.values(),
        *item_table.stored.values(),
        row=row_layout(user_table, item_table),
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
    **attributes: str | bool | np.int64,
) -> list[jax.Array]:
    """Call a target that visits the ratings.

    Return its results, then the arrays of both tables, aliased to the operands.
    """
    data = (ratings.users, ratings.items, ratings.ratings)
    strata = None if target in ("mascot_epoch", "mascot_stream") else ratings.strata
    counters = jnp.concatenate([counters, extent(ratings)])
    operands = [*data, *_groups(users, items), rates, counters, *(strata or ())]
    if ratings.negatives is not None and strata is not None:
        negatives = ratings.negatives
        operands += [negatives.user_draws, negatives.item_weights, negatives.weight]
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
            row=row_layout(users, items),
            user_tables=np.int64(len(users.stored)),
            block_size=np.int64(_block_size(ratings) if strata is None else LARGEST_BLOCK),
            execution=execution.attribute(),
            **attributes,
        )
    )


def extent(ratings: Ratings) -> jax.Array:
    """Return ``Ratings.extent``; of the arrays' own lengths if it is None."""
    if ratings.extent is not None:
        return ratings.extent
    count, strata = ratings.users.shape[0], ratings.strata
    ranges = [0, 0] if strata is None else [len(x) - 1 for x in strata[:2]]
    return extent_of(count, ranges)


def _block_size(ratings: Ratings) -> int:
    return ratings.block_size or block_size(ratings.users.shape[0])


def row_layout(*tables: Table | Rows) -> dict[str, np.int64]:
    """Return the FFI attribute ``row``: the layout of the rows of these tables."""
    blocks = {STORAGES[name].scale_block for table in tables for name in table.stored} - {0}
    return {
        "factors": np.int64(tables[0].factors),
        "scale_block": np.int64(max(blocks, default=WHOLE_ROW)),
    }


def _groups(users: Table, items: Table) -> tuple[jax.Array, ...]:
    return users.starts, users.codes, items.starts, items.codes


def _like(table: Table) -> list[jax.ShapeDtypeStruct]:
    return [jax.ShapeDtypeStruct(array.shape, array.dtype) for array in table.stored.values()]


def with_arrays(table: Table, arrays: Sequence[jax.Array]) -> Table:
    """Return the table with other arrays of rows, one for each of its storages."""
    return dataclasses.replace(table, stored=dict(zip(table.stored, arrays, strict=True)))


def renewed(users: Table, items: Table, arrays: Sequence[jax.Array]) -> tuple[Table, Table]:
    """Return both tables with other arrays: those of the users first."""
    count = len(users.stored)
    return with_arrays(users, arrays[:count]), with_arrays(items, arrays[count:])
