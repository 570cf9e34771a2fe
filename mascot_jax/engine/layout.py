"""Lay out ratings once per training, in the order in which its epochs visit them.

Epochs shuffle blocks of ratings. The layout decides which ratings are in a block, and in which
order: ``train.order``, and ``train.deterministic`` or ``train.rotations``, which need blocks that
share no row (figures in docs/orders.md).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mascot_jax.base.arrays import aligned_zeros, count_each, gather, parts
from mascot_jax.engine import kernels
from mascot_jax.engine.padding import (
    LEAST_GROUPS,
    LEAST_RATINGS,
    LEAST_ROWS,
    pad,
    pad_starts,
    places,
)
from mascot_jax.engine.ratings import Ratings, Strata, extent_of
from mascot_jax.engine.scratch import DIVIDED_AT_A_TIME, RATINGS, InMemory, Scratch, divide
from mascot_jax.errors import BackendError, DataError
from mascot_jax.settings import TrainPlan

MOST_RANGES: Final = 64
"""Most ranges of users, and of items; there are fewer only if there are fewer rows. The number does
not depend on the threads, as results would then depend on them too."""

LONGEST_RUN: Final = 8
"""Most ratings in a run of one user. Longer runs cost accuracy (ML-1M: 0.0008 with 16, 0.002 with
32) and save little more: with 8, a row is already read and written an eighth as often."""

COPIED: Final = 1 << 20
"""Most ratings that are copied into longer arrays. Of more, the copies would take more memory than
the program that is compiled for their number."""

MOST_PLACES: Final = 2**32 - 1
"""Most ratings to lay out: a rating's place in its block, and a block's first rating, have 32
bits."""

WRITTEN: Final = 24
"""Bytes of a rating that laying out writes to a file: each once by range, and once by block."""

LEAST_SWEEPS: Final = 256
"""Least number of sweeps of an epoch that runs are distributed to; there are more if a user has
more runs, so that no two runs of a user are adjacent. A sweep is sorted by user, so that it passes
through the user table page by page: no less accurate than a full shuffle (docs/orders.md)."""


def lay_out(
    ratings: Ratings,
    plan: TrainPlan,
    user_starts: NDArray[np.uint32],
    item_starts: NDArray[np.uint32],
    threads: int,
) -> Ratings:
    """Return ratings on the device, in the order in which training numbers them.

    Parameters
    ----------
    ratings
        Ratings in their seeded order. Those on the host go to JAX's default device.
    plan
        ``order``, ``deterministic``, ``rotations`` and ``seed`` are used. ``shuffled`` keeps the
        seeded order. ``runs`` puts up to 8 ratings of a user together and distributes these runs at
        random. ``group-blocks`` makes a block for each pair of a user group and an item group. If
        ``deterministic``, or with ``rotations``, ``shuffled`` and ``runs`` first divide ratings
        into blocks by ranges of users and items, and apply within a block. With ``rotations``
        ranges differ less in their numbers of rows.
    user_starts, item_starts
        uint32 ``(g + 1,)``: first row of each group, then the number of rows.
    threads
        Number of threads; the result does not depend on it.

    Raises
    ------
    BackendError
        If the plan asks for something that only the CPU can do, and the device is another one.
    DataError
        If there are too many ratings to lay out.
    """
    _check_platform(ratings.platform, plan)
    if plan.order == "shuffled" and not plan.deterministic and plan.rotations is None:
        there: Any = ratings.users, ratings.items, ratings.ratings  # maybe on the device already
        if len(ratings) <= COPIED:
            size = places(len(ratings), LEAST_RATINGS, ratings.platform)
            there = [pad(column, size) for column in ratings.host()]
        columns = jax.device_put(there, ratings.device)
        return _with_columns(ratings, columns, order=plan.order)
    if len(ratings) > MOST_PLACES:
        raise DataError(
            f"{len(ratings)} ratings: there are {MOST_PLACES} places at most; with train.order "
            "shuffled and train.deterministic false, which lay nothing out, there is no limit"
        )
    blocks = plan.order == "group-blocks" or plan.deterministic or plan.rotations is not None
    if plan.order == "group-blocks":
        starts = user_starts.astype(np.int64), item_starts.astype(np.int64)
    else:
        starts_of = partial(
            range_starts,
            most=MOST_RANGES if blocks else 1,
            rows_too=plan.rotations is not None,
        )
        rows = ratings.host()
        starts = starts_of(rows[0], ratings.user_count), starts_of(rows[1], ratings.item_count)
    longest_run = LONGEST_RUN if plan.order == "runs" else 0
    return in_strata(ratings, plan, starts, threads, longest_run=longest_run, blocks=blocks)


def in_strata(
    ratings: Ratings,
    plan: TrainPlan,
    starts: tuple[NDArray[np.int64], NDArray[np.int64]],
    threads: int,
    *,
    longest_run: int,
    blocks: bool = True,
) -> Ratings:
    """Return ratings on the device, sorted by pair of ranges.

    Parameters
    ----------
    ratings, plan, threads
        As for ``lay_out``.
    starts
        ``(ranges + 1,)`` of users and of items, as ``range_starts`` returns them.
    longest_run
        Most ratings in a run of one user; 0: ratings of a block stay in their order.
    blocks
        Whether epochs visit the ratings block by block.
    """
    columns, begin, scratch = _sort(ratings, plan, *starts, threads, longest_run)
    strata = None
    if blocks:
        users, items = (pad_starts(side, ratings.platform) for side in starts)
        strata = Strata(users, items, begin)
    return _with_columns(
        ratings,
        columns,
        ranges=(len(starts[0]) - 1, len(starts[1]) - 1),
        strata=strata,
        order=plan.order,
        conflict_free=plan.deterministic,
        rotations=plan.rotations or 0,
        scratch=scratch,
    )


def is_laid_out(ratings: Ratings, plan: TrainPlan) -> bool:
    """Return whether ratings are laid out as ``lay_out`` does for this plan."""
    wanted = plan.order, plan.deterministic, plan.rotations or 0
    return (ratings.order, ratings.conflict_free, ratings.rotations) == wanted


def _with_columns(
    ratings: Ratings,
    columns: Sequence[jax.Array],
    ranges: tuple[int, int] = (0, 0),
    **layout: Any,
) -> Ratings:
    users, items, values = columns
    count = len(ratings)
    return dataclasses.replace(
        ratings,
        users=users,
        items=items,
        ratings=values,
        extent=extent_of(count, ranges),
        block_size=kernels.block_size(count),
        expendable=False,
        **layout,
    )


def _check_platform(platform: str, plan: TrainPlan) -> None:
    if platform == "cpu":
        return
    if plan.deterministic:
        raise BackendError(
            f"train.deterministic: {platform} runs Hogwild only; set run.backend to cpu"
        )
    if plan.order == "group-blocks":
        raise BackendError(
            f"train.order: {platform} has no group-blocks, only shuffled and runs; "
            "set run.backend to cpu"
        )


def range_starts(
    rows: ArrayLike, count: int, most: int = MOST_RANGES, *, rows_too: bool = False
) -> NDArray[np.int64]:
    """Divide a table's rows into contiguous ranges with about equally many ratings.

    Parameters
    ----------
    rows
        ``(n,)``: the row of each rating.
    count
        Number of rows.
    most
        Number of ranges; fewer if there are fewer rows.
    rows_too
        Whether rows count as well, all together a quarter as much as all ratings: then ranges also
        have less unequal numbers of rows, about five times the mean at most.

    Returns
    -------
    starts
        ``(ranges + 1,)``: the first row of each range, from 0, then ``count``. A range is empty
        where one row has more ratings than a range should.
    """
    return divided(count_each(np.asarray(rows), count), most, rows_too=rows_too)


def divided(visits: NDArray[np.int64], most: int, *, rows_too: bool = False) -> NDArray[np.int64]:
    """Divide rows with so many visits ``(rows,)`` as ``range_starts`` does."""
    count = len(visits)
    ranges = min(most, count)
    before, total = np.cumsum(visits) - visits, int(visits.sum())
    if rows_too:  # both in parts of 2^24, rounded up: products have 64 bits
        ratings, rows = -((-before << 24) // total), -((-np.arange(count) << 24) // count)
        before, total = 4 * ratings + rows, 5 << 24
    range_of = before * ranges // total
    starts: NDArray[np.int64] = np.searchsorted(range_of, np.arange(ranges + 1))
    starts[-1] = count
    return starts


def _sort(
    ratings: Ratings,
    plan: TrainPlan,
    user_starts: NDArray[np.int64],
    item_starts: NDArray[np.int64],
    threads: int,
    longest_run: int,
) -> tuple[Sequence[Any], jax.Array, Scratch | None]:
    """Sort by pair of ranges and, unless ``longest_run`` is 0, into runs, on the CPU.

    Return the three columns on the ratings' device, or in a file as the ratings are; uint32 ``(user
    ranges x item ranges,)``: the number of each block's first rating; and that file.
    """
    in_place = ratings.expendable and len(ratings) > COPIED
    if ratings.scratch is not None or (in_place and 1 < len(user_starts) - 1 <= MOST_RANGES):
        counts, range_of = _by_range(ratings, user_starts)
        store = _divided(ratings, counts, range_of)
        starts = int(user_starts[-1]), item_starts
        begin = _sort_each(store, counts, plan, *starts, threads, longest_run)
        begin = pad(begin, _most_blocks(user_starts, item_starts, ratings.platform))
        if isinstance(store, Scratch):
            return store.columns(), jnp.asarray(begin), store
        return *jax.device_put((ratings.host(), begin), ratings.device), None
    item_ranges = len(item_starts) - 1
    blocks = (len(user_starts) - 1) * item_ranges
    host = jax.local_devices(backend="cpu")[0]
    columns_in: Sequence[NDArray[Any]] = ratings.host()
    size = places(len(ratings), LEAST_RATINGS, ratings.platform)
    if len(ratings) <= COPIED:
        columns_in = [pad(column, size) for column in columns_in]
    *columns, begin = kernels.lay_out(
        *jax.device_put(columns_in, host),
        _parts(np.arange(0, blocks, item_ranges), user_starts),
        _parts(np.arange(item_ranges), item_starts),
        np.uint32(plan.seed),
        count=np.uint32(len(ratings)),
        blocks=np.uint32(blocks),
        places=size,
        block_places=_most_blocks(user_starts, item_starts, ratings.platform),
        longest_run=longest_run,
        least_sweeps=LEAST_SWEEPS,
        threads=threads,
    )
    return *jax.device_put((columns, begin), ratings.device), None


def _by_range(
    ratings: Ratings, user_starts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return the number of ratings of each range of users, and the range of each user."""
    users, ranges = ratings.host()[0], len(user_starts) - 1
    range_of = np.repeat(np.arange(ranges, dtype=np.uint8), np.diff(user_starts))
    counts = np.zeros(ranges, dtype=np.int64)
    for part in parts(len(users)):
        counts += np.bincount(range_of[users[part]], minlength=ranges)
    return counts, range_of


def _divided(
    ratings: Ratings, counts: NDArray[np.int64], range_of: NDArray[np.uint8]
) -> Scratch | InMemory:
    """Sort ratings by range of users, where they keep their order; in a new file, or in place.

    In memory a column at a time goes to its new order, so that only one is there twice.
    """
    users, *_ = columns = ratings.host()
    slices = parts(len(users), DIVIDED_AT_A_TIME)
    if ratings.scratch is not None:
        file = Scratch(ratings.scratch.folder, len(users))
        rows = ((range_of[users[p]], tuple(column[p] for column in columns)) for p in slices)
        divide(rows, counts, file)
        return file
    order = np.empty(len(users), dtype=np.uint32)
    numbers = ((range_of[users[p]], (np.arange(p.start, p.stop, dtype=np.uint32),)) for p in slices)
    divide(numbers, counts, InMemory(order))
    for column in columns:
        column[:] = gather(column, order)
    return InMemory(*columns)


def _sort_each(
    store: Scratch | InMemory,
    counts: NDArray[np.int64],
    plan: TrainPlan,
    users: int,
    item_starts: NDArray[np.int64],
    threads: int,
    longest_run: int,
) -> NDArray[np.uint32]:
    """Sort the ratings of each range of users as ``_sort`` does all at once.

    ``counts`` is int64 ``(ranges,)``: how many there are. Return the number of each block's first.
    """
    first = np.cumsum(counts) - counts
    host = jax.local_devices(backend="cpu")[0]
    size = places(int(counts.max()), LEAST_RATINGS, "cpu")
    columns = [aligned_zeros((size,), dtype) for dtype in RATINGS]
    one_range, blocks = np.array([0, users]), len(item_starts) - 1
    user_part = _parts(np.zeros(1, dtype=np.int64), one_range)
    item_part = _parts(np.arange(blocks), item_starts)
    begin = np.empty((len(counts), blocks), dtype=np.uint32)
    for a, (start, count) in enumerate(zip(first.tolist(), counts.tolist(), strict=True)):
        for number, column in enumerate(columns):
            store.read(number, start, column[:count])
        *found, numbers = kernels.lay_out(
            *jax.device_put(columns, host),
            user_part,
            item_part,
            np.uint32(plan.seed),
            count=np.uint32(count),
            blocks=np.uint32(blocks),
            places=size,
            block_places=_most_blocks(one_range, item_starts, "cpu"),
            longest_run=longest_run,
            least_sweeps=LEAST_SWEEPS,
            threads=threads,
        )
        for number, values in enumerate(found):
            store.write(number, start, np.asarray(values)[:count])
        begin[a] = np.asarray(numbers)[:blocks] + np.uint32(start)
    return begin.reshape(-1)


def _parts(parts: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return the part of each row, with zeros behind them where the host's arrays are padded."""
    by_row = np.repeat(parts.astype(np.uint32), np.diff(starts))
    return pad(by_row, places(len(by_row), LEAST_ROWS, "cpu"))


def _most_blocks(
    user_starts: NDArray[np.int64], item_starts: NDArray[np.int64], platform: str
) -> int:
    """Return how long the array of blocks is: as their ranges' arrays are."""
    ranges = (len(starts) - 1 for starts in (user_starts, item_starts))
    users, items = (places(count, LEAST_GROUPS, platform) for count in ranges)
    return users * items
