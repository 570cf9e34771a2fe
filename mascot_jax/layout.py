"""Laying ratings out, once per training, for the order that its epochs visit them in.

Design 4 and 5. Epochs shuffle blocks of ratings; what is in a block, and in which order, is
decided here: ``train.order``, and ``train.deterministic``, which needs blocks that share no row
(figures in docs/decisions.md).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.counting import count_each, gather, parts, sort_by
from mascot_jax.errors import BackendError
from mascot_jax.ratings import Ratings, Strata
from mascot_jax.settings import TrainSettings

MOST_RANGES: Final = 64
"""Of users, and of items; fewer only where there are fewer rows. The data fix them: were they as
many as the threads, results would depend on these."""

LONGEST_RUN: Final = 8
"""Ratings of one user that follow one another. Longer ones cost accuracy (ML-1M: 16 0.0008, 32
0.002); a row is then read and written an eighth as often, and seven eighths is nearly all."""

LEAST_SWEEPS: Final = 256
"""Parts of an epoch that runs are dealt to; more where a user has more runs, so that no two of a
user's follow one another. Within one they lie in the order of their users, so that a sweep goes
through the users' table from page to page: no less accurate than a full shuffle
(docs/decisions.md)."""


def lay_out(
    ratings: Ratings,
    settings: TrainSettings,
    user_starts: NDArray[np.uint32],
    item_starts: NDArray[np.uint32],
    *,
    donate: bool = False,
) -> Ratings:
    """Return ratings in the order in which training numbers them.

    Parameters
    ----------
    ratings
        As they came, in their seeded order; or laid out by this function for the same settings,
        which are returned as they are.
    settings
        ``order``, ``deterministic`` and ``seed`` count. ``shuffled`` keeps the seeded order,
        ``runs`` puts up to 8 ratings of a user one after the other and deals these runs out at
        random, ``group-blocks`` makes a block of the ratings of each pair of a user group and an
        item group. Where they ask for a deterministic training, or leave that to the device and it
        is a CPU, ratings of ``shuffled`` and ``runs`` are first put into blocks of ranges of users
        and items; within these they lie as without.
    user_starts, item_starts
        uint32 ``(g + 1,)``: group tables.
    donate
        The ratings as they came are not used any more: each of their columns is freed as soon as
        its successor is there.

    Raises
    ------
    BackendError
        If the settings ask for what only the CPU can do, and the ratings are elsewhere.
    ValueError
        If the ratings have been laid out for other settings.
    """
    if is_laid_out(ratings, settings):
        return ratings
    if (ratings.order, ratings.conflict_free) != ("shuffled", False):
        raise ValueError("the ratings have been laid out for other settings already")
    settings = settings.on(_platform(ratings))
    _check_platform(ratings, settings)
    order, strata = _plan(ratings, settings, user_starts, item_starts)
    columns: dict[str, Any] = {}
    for name in ("users", "items", "ratings"):
        column: jax.Array = getattr(ratings, name)
        columns[name] = jnp.asarray(gather(np.asarray(column), order), dtype=column.dtype)
        if donate:
            column.delete()
    return dataclasses.replace(
        ratings,
        **columns,
        strata=strata,
        order=settings.order,
        conflict_free=bool(settings.deterministic),
    )


def is_laid_out(ratings: Ratings, settings: TrainSettings) -> bool:
    """Return whether ratings lie as ``lay_out`` would put them for these settings."""
    wanted = settings.on(_platform(ratings))
    return (ratings.order, ratings.conflict_free) == (wanted.order, bool(wanted.deterministic))


def _platform(ratings: Ratings) -> str:
    platform: str = next(iter(ratings.users.devices())).platform
    return platform


def _check_platform(ratings: Ratings, settings: TrainSettings) -> None:
    platform = _platform(ratings)
    if platform == "cpu":
        return
    if settings.deterministic:
        raise BackendError(
            f"train.deterministic: {platform} runs Hogwild only; set train.backend to cpu"
        )
    if settings.order == "group-blocks":
        raise BackendError(
            f"train.order: {platform} has no group-blocks, only shuffled and runs; "
            "set train.backend to cpu"
        )


def range_starts(rows: NDArray[np.uint32], count: int) -> NDArray[np.int64]:
    """Divide a side's rows into contiguous ranges with about equally many ratings.

    Parameters
    ----------
    rows
        ``(n,)``: the row of each rating.
    count
        Number of rows.

    Returns
    -------
    starts
        ``(ranges + 1,)``: 0, the first row of each further range, ``count``. A range is empty where
        one row has more ratings than a range should.
    """
    ranges = min(MOST_RANGES, count)
    visits = count_each(rows, count)
    range_of = (np.cumsum(visits) - visits) * ranges // len(rows)
    starts: NDArray[np.int64] = np.searchsorted(range_of, np.arange(ranges + 1))
    starts[-1] = count
    return starts


def _plan(
    ratings: Ratings,
    settings: TrainSettings,
    user_starts: NDArray[np.uint32],
    item_starts: NDArray[np.uint32],
) -> tuple[NDArray[np.integer[Any]], Strata | None]:
    """Return the seeded numbers of ratings in their new order, ``(n,)``, and their blocks."""
    users, items = np.asarray(ratings.users), np.asarray(ratings.items)
    if not (settings.order == "group-blocks" or settings.deterministic):
        return _order(users, None, settings), None
    if settings.order == "group-blocks":
        starts = user_starts.astype(np.int64), item_starts.astype(np.int64)
    else:
        starts = range_starts(users, ratings.user_count), range_starts(items, ratings.item_count)
    block = _blocks(users, items, *starts)
    return _order(users, block, settings), _strata(block, *starts)


def _blocks(
    users: NDArray[np.uint32],
    items: NDArray[np.uint32],
    user_starts: NDArray[np.int64],
    item_starts: NDArray[np.int64],
) -> NDArray[np.unsignedinteger[Any]]:
    """Return the block of each rating, ``(n,)``."""
    item_ranges = len(item_starts) - 1
    first = np.arange(len(user_starts) - 1, dtype=np.uint32) * np.uint32(item_ranges)
    first_of_user = np.repeat(first, np.diff(user_starts))
    range_of_item = np.repeat(np.arange(item_ranges, dtype=np.uint32), np.diff(item_starts))
    few = len(first) * item_ranges <= 1 << 16
    dtype: type[np.unsignedinteger[Any]] = np.uint16 if few else np.uint32
    block = np.empty(len(users), dtype=dtype)
    for part in parts(len(users)):
        block[part] = first_of_user[users[part]] + range_of_item[items[part]]
    return block


def _strata(
    block: NDArray[np.unsignedinteger[Any]],
    user_starts: NDArray[np.int64],
    item_starts: NDArray[np.int64],
) -> Strata:
    begin = np.zeros((len(user_starts) - 1) * (len(item_starts) - 1) + 1, dtype=np.int64)
    np.cumsum(count_each(block, len(begin) - 1), out=begin[1:])
    return Strata(*(_on_device(x) for x in (user_starts, item_starts, begin[:-1])))


def _order(
    users: NDArray[np.uint32],
    block: NDArray[np.unsignedinteger[Any]] | None,
    settings: TrainSettings,
) -> NDArray[np.integer[Any]]:
    """Return the seeded numbers of ratings in their new order, ``(n,)``: block by block."""
    order: NDArray[np.integer[Any]] | None = None
    if settings.order == "runs":
        order = sort_by(users)
        if block is not None:
            order = sort_by(block, order)
        order = sort_by(_sweeps(users, block, order, settings.seed), order)
    if block is not None:
        return sort_by(block, order)
    return np.arange(len(users), dtype=np.uint32) if order is None else order


def _sweeps(
    users: NDArray[np.uint32],
    block: NDArray[np.unsignedinteger[Any]] | None,
    order: NDArray[np.integer[Any]],
    seed: int,
) -> NDArray[np.uint16]:
    """Deal out the runs of ratings that an order has sorted by block and user: a sweep for each.

    A user's first run has a random one, the others follow at golden sections of their number.
    """
    most = max(int(place.max()) for _, _, place in _places(users, block, order))
    bits = max(most // LONGEST_RUN, LEAST_SWEEPS - 1).bit_length()
    start = np.random.default_rng(seed).integers(0, 1 << bits, int(users.max()) + 1)
    step = int((1 << bits) * 0.6180339887) | 1  # odd: the first 2^bits runs have their own sweeps
    sweeps = np.empty(len(users), dtype=np.uint16)
    for numbers, user, place in _places(users, block, order):
        dealt = place // LONGEST_RUN * step + start[user]
        sweeps[numbers] = (dealt % (1 << bits)).astype(np.uint16)
    return sweeps


def _places(
    users: NDArray[np.uint32],
    block: NDArray[np.unsignedinteger[Any]] | None,
    order: NDArray[np.integer[Any]],
) -> Iterator[tuple[NDArray[np.integer[Any]], NDArray[np.uint32], NDArray[np.int64]]]:
    """Yield parts of an order: numbers, users, places among neighbours of one user and block."""
    first, last = 0, None
    for part in parts(len(order)):
        numbers = order[part]
        user = users[numbers]
        new = np.append(False, user[1:] != user[:-1])
        if block is not None:
            of_block = block[numbers]
            new[1:] |= of_block[1:] != of_block[:-1]
        ends = [(user[i], None if block is None else of_block[i]) for i in (0, -1)]
        new[0] = ends[0] != last
        position = np.arange(part.start, part.stop)
        begin = np.maximum.accumulate(np.where(new, position, first))
        yield numbers, user, position - begin
        first, last = int(begin[-1]), ends[1]


def _on_device(values: NDArray[Any]) -> Any:
    return jnp.asarray(values.astype(np.uint32, copy=False))
