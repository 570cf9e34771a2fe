"""Parts of an epoch as JAX functions: lists of blocks, and ranges of rows on their way.

One FFI target per function, with operands in the order of ``ffi/bind/signatures.h``. On a CPU they
are what ``kernels.run_epoch`` does at once over conflict-free ratings: the same bits, whoever
visits which block. On a GPU, ``run_hogwild`` races through the blocks instead, and sums do not
travel. Shapes: g groups, k factors, U ranges of users, I ranges of items.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import jax
import jax.numpy as jnp
import mascot_ffi
import numpy as np
from numpy.typing import NDArray

from mascot_jax.engine import kernels
from mascot_jax.engine.kernels import STATISTICS, Execution, renewed, row_layout, with_arrays
from mascot_jax.engine.ratings import Ratings
from mascot_jax.tables.storage import STORAGES, padded
from mascot_jax.tables.table import Table

EVERYONE: Final = 2**32 - 1
"""As a receiver in ``moves``: every worker but the sender."""

_STATISTICS_WORDS: Final = 6
"""Words of the statistics of a group's sums, behind those of the gradient (ffi/core/sums.h)."""


TILES: Final = 8
"""Tiles of a list with rotations (ffi/core/rotations.h)."""


def draw_list(
    user_ranges: int,
    item_ranges: int,
    seed: int,
    epoch: int,
    *,
    rotations: int = 0,
    users_stay: bool = True,
) -> NDArray[np.uint32]:
    """Return the blocks of an epoch in their order, uint32 ``(U I, 2)``: user and item range.

    They come in rounds of blocks that share no range. Without ``rotations``, every range of the
    side with fewer meets another one of the side with more in each. With them, ranges of one side,
    the users' if ``users_stay``, are kept by workers, and those of the other side seldom go from
    one worker to another if each keeps ranges that follow each other in ``tiled``.
    """
    blocks = np.empty((user_ranges * item_ranges, 2), dtype=np.uint32)
    mascot_ffi.draw_list(user_ranges, item_ranges, rotations, users_stay, seed, epoch, blocks)
    return blocks


def tiled(ranges: int) -> NDArray[np.int64]:
    """Return the ranges of the side that stays by tile, int64 ``(ranges,)``."""
    octet, place = np.divmod(np.arange(ranges), TILES)
    tile = np.where(octet % 2 == 0, place, TILES - 1 - place)
    order: NDArray[np.int64] = np.argsort(tile, kind="stable")
    return order


def no_sums(parts: int, factors: int) -> jax.Array:
    """Return the sums of so many pairs of a range and one of its groups, before the first rating.

    They are uint32 ``(parts, words)``: the bits of the gradient, then those of the statistics.
    """
    return jnp.zeros((parts, padded(factors) + _STATISTICS_WORDS), dtype=jnp.uint32)


def parcel_bytes(
    codes: NDArray[np.uint8],
    rows: NDArray[np.int64],
    parts: NDArray[np.int64],
    table: Table,
) -> NDArray[np.int64]:
    """Return the bytes of each range when it is sent, int64 ``(ranges,)``.

    Parameters
    ----------
    codes
        uint8 ``(g,)``: storages of the groups.
    rows
        int64 ``(ranges, g)``: rows of each range in each group.
    parts
        int64 ``(ranges,)``: groups that each range has rows of, whose sums go with it; 0: none do.
    table
        The table, for its factors and storages.
    """
    width, size = padded(table.factors), np.zeros(256, dtype=np.int64)
    for storage in (STORAGES[name] for name in table.stored):
        scales = 4 * storage.scales(table.factors)
        size[storage.code] = width * storage.dtype.itemsize + scales
    result: NDArray[np.int64] = rows @ size[codes] + parts * 4 * (width + _STATISTICS_WORDS)
    return result


def run_turns(
    ratings: Ratings,
    users: Table,
    items: Table,
    sums: tuple[jax.Array, jax.Array],
    rates: jax.Array,
    counters: jax.Array,
    numbers: jax.Array,
    turns: jax.Array,
    span: jax.Array,
    *,
    rounding: str,
    arithmetic: str,
    execution: Execution,
) -> tuple[Table, Table, tuple[jax.Array, jax.Array]]:
    """Visit the blocks of a list, updating rows and sums in place; CPU only.

    Parameters
    ----------
    ratings
        Laid out in conflict-free blocks, some of which may be empty because others hold them.
    users, items, rates, counters, rounding, arithmetic, execution
        As for ``kernels.run_epoch``.
    sums
        Of users and of items, as ``no_sums`` begins them: of each range its groups' in order.
    numbers
        uint32 ``(U I,)``: the number of each block's first rating in all of the training.
    turns
        uint32 ``(t, 2)``: user and item range of each block to visit. Of blocks that share a range,
        the earlier one in the list comes first.
    span
        uint32 ``(2,)``: the first of these turns to take, and the one behind the last.
    """
    user_sums, item_sums, *arrays = _call(
        "mascot_turns",
        _visited(ratings, users, items, rates, counters, numbers, turns, span),
        [*sums, *users.stored.values(), *items.stored.values()],
        **_visiting(users, items, rounding, arithmetic, execution),
    )
    return *renewed(users, items, arrays), (user_sums, item_sums)


def run_hogwild(
    ratings: Ratings,
    users: Table,
    items: Table,
    rates: jax.Array,
    counters: jax.Array,
    numbers: jax.Array,
    turns: jax.Array,
    span: jax.Array,
    *,
    most_in_flight: int,
    rounding: str,
    arithmetic: str,
    execution: Execution,
) -> tuple[Table, Table, jax.Array, jax.Array]:
    """Visit the blocks of a list all at once, in any order, updating rows in place; GPU only.

    Results are those of ``kernels.run_epoch``, over these blocks. Parameters are those of
    ``run_turns``, but for

    Parameters
    ----------
    most_in_flight
        Ratings that may be under way at a time, and so do not see each other. There are no more
        than a 128th of all that the device has, either.
    """
    shapes = (
        jax.ShapeDtypeStruct((table.groups, table.factors + STATISTICS), jnp.float32)
        for table in (users, items)
    )
    user_sums, item_sums, *arrays = _call(
        "mascot_hogwild_turns",
        _visited(ratings, users, items, rates, counters, numbers, turns, span),
        [*users.stored.values(), *items.stored.values()],
        *shapes,
        **_visiting(users, items, rounding, arithmetic, execution),
        most_in_flight=np.int64(most_in_flight),
    )
    return *renewed(users, items, arrays), user_sums, item_sums


def _visited(
    ratings: Ratings,
    users: Table,
    items: Table,
    rates: jax.Array,
    counters: jax.Array,
    *course: jax.Array,
) -> list[Any]:
    """Return the operands of targets that visit blocks, but what they update."""
    assert ratings.strata is not None
    return [
        *(ratings.users, ratings.items, ratings.ratings),
        *_groups(users),
        *_groups(items),
        rates,
        jnp.concatenate([counters, kernels.extent(ratings)]),
        *ratings.strata,
        *course,
    ]


def _visiting(
    users: Table, items: Table, rounding: str, arithmetic: str, execution: Execution
) -> dict[str, object]:
    """Return the FFI attributes of targets that visit blocks."""
    return {
        "row": row_layout(users, items),
        "user_tables": np.int64(len(users.stored)),
        "block_size": np.int64(kernels.LARGEST_BLOCK),
        "execution": execution.attribute(),
        "rounding": rounding,
        "arithmetic": arithmetic,
    }


def total_sums(table: Table, ranges: jax.Array, rates: jax.Array, sums: jax.Array) -> jax.Array:
    """Return the sums of each group over all ranges, float32 ``(g, k + 4)``; CPU only.

    ``ranges`` is uint32 ``(ranges + 1,)``: first rows; ``sums`` is as for ``run_turns``. Of the
    table only the groups count.
    """
    shape = jax.ShapeDtypeStruct((table.groups, table.factors + STATISTICS), jnp.float32)
    total: jax.Array = jax.ffi.ffi_call("mascot_total", shape)(
        *_groups(table), ranges, rates, sums, row=row_layout(table)
    )
    return total


def pack(
    table: Table,
    ranges: jax.Array,
    moves: jax.Array,
    pair: jax.Array,
    sums: jax.Array,
    *,
    size: int,
) -> tuple[Table, jax.Array]:
    """Write the ranges that go from one worker to another into a parcel, uint8 ``(size,)``.

    Parameters
    ----------
    table
        Returned unchanged: in a chain of updates in place, XLA need not copy it.
    ranges
        uint32 ``(ranges + 1,)``: first row of each range.
    moves
        uint32 ``(ranges, 2)``: the worker that has each range, and the one that it goes to, or
        ``EVERYONE``; nothing is sent where they are equal.
    pair
        uint32 ``(2,)``: the worker that sends, and the one that gets it.
    sums
        As for ``run_turns``: they go with their ranges. ``no_sums(0, k)``: none do, as on a GPU.
    size
        Bytes of the parcel: enough for what is sent (``parcel_bytes``); the rest is undefined.
    """
    parcel, *arrays = _call(
        "mascot_pack",
        [*_groups(table), ranges, moves, pair, sums],
        list(table.stored.values()),
        jax.ShapeDtypeStruct((size,), jnp.uint8),
        row=row_layout(table),
    )
    return with_arrays(table, arrays), parcel


def unpack(
    table: Table,
    ranges: jax.Array,
    moves: jax.Array,
    pair: jax.Array,
    sums: jax.Array,
    parcel: jax.Array,
) -> tuple[Table, jax.Array]:
    """Read in place what ``pack`` has written for the same pair; return table and sums."""
    operands = [*_groups(table), ranges, moves, pair, sums, parcel]
    shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in (sums, *table.stored.values())]
    aliases = {5: 0} | {len(operands) + i: 1 + i for i in range(len(table.stored))}
    call = jax.ffi.ffi_call("mascot_unpack", shapes, input_output_aliases=aliases)
    sums, *arrays = call(*operands, *table.stored.values(), row=row_layout(table))
    return with_arrays(table, arrays), sums


def _call(
    target: str,
    operands: Sequence[jax.Array],
    updated: Sequence[jax.Array],
    *results: jax.ShapeDtypeStruct,
    **attributes: object,
) -> list[jax.Array]:
    """Call a target; return its results, then the arrays that it updates in place."""
    shapes = [*results, *(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in updated)]
    aliases = {len(operands) + i: len(results) + i for i in range(len(updated))}
    call = jax.ffi.ffi_call(target, shapes, input_output_aliases=aliases)
    return list(call(*operands, *updated, **attributes))


def _groups(table: Table) -> tuple[jax.Array, jax.Array]:
    return table.starts, table.codes
