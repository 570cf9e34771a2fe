"""Laying ratings out, once per training, for the order that its epochs visit them in.

Epochs shuffle blocks of ratings; what is in a block, and in which order, is
decided here: ``train.order``, and ``train.deterministic``, which needs blocks that share no row
(figures in docs/orders.md).
"""

from __future__ import annotations

import dataclasses
from typing import Final

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mascot_jax.base.arrays import count_each
from mascot_jax.engine import kernels
from mascot_jax.engine.devices import usable_cores
from mascot_jax.engine.ratings import Ratings, Strata
from mascot_jax.errors import BackendError, DataError
from mascot_jax.settings import TrainSettings

MOST_RANGES: Final = 64
"""Of users, and of items; fewer only where there are fewer rows. The data fix them: were they as
many as the threads, results would depend on these."""

LONGEST_RUN: Final = 8
"""Ratings of one user that follow one another. Longer ones cost accuracy (ML-1M: 16 0.0008, 32
0.002); a row is then read and written an eighth as often, and seven eighths is nearly all."""

MOST_PLACES: Final = 2**32 - 1
"""A rating's place in its block, and a block's first rating, have 32 bits."""

LEAST_SWEEPS: Final = 256
"""Parts of an epoch that runs are dealt to; more where a user has more runs, so that no two of a
user's follow one another. Within one they lie in the order of their users, so that a sweep goes
through the users' table from page to page: no less accurate than a full shuffle
(docs/orders.md)."""


def lay_out(
    ratings: Ratings,
    settings: TrainSettings,
    user_starts: NDArray[np.uint32],
    item_starts: NDArray[np.uint32],
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

    Raises
    ------
    BackendError
        If the settings ask for what only the CPU can do, and the ratings are elsewhere.
    DataError
        If there are too many ratings to be laid out.
    ValueError
        If the ratings have been laid out for other settings.
    """
    if is_laid_out(ratings, settings):
        return ratings
    if (ratings.order, ratings.conflict_free) != ("shuffled", False):
        raise ValueError("the ratings have been laid out for other settings already")
    settings = settings.on(_platform(ratings))
    _check_platform(ratings, settings)
    if settings.order == "shuffled" and not settings.deterministic:
        return dataclasses.replace(ratings, order=settings.order, conflict_free=False)
    if len(ratings) > MOST_PLACES:
        raise DataError(
            f"{len(ratings)} ratings: there are {MOST_PLACES} places at most; with train.order "
            "shuffled and train.deterministic false, which lay nothing out, there is no limit"
        )
    in_blocks = settings.order == "group-blocks" or bool(settings.deterministic)
    if settings.order == "group-blocks":
        starts = user_starts.astype(np.int64), item_starts.astype(np.int64)
    else:
        starts = (
            range_starts(ratings.users, ratings.user_count, MOST_RANGES if in_blocks else 1),
            range_starts(ratings.items, ratings.item_count, MOST_RANGES if in_blocks else 1),
        )
    laid_out, begin = _lay_out(ratings, settings, *starts)
    user_ranges, item_ranges = (jnp.asarray(x.astype(np.uint32)) for x in starts)
    return dataclasses.replace(
        laid_out,
        strata=Strata(user_ranges, item_ranges, begin) if in_blocks else None,
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


def range_starts(rows: ArrayLike, count: int, most: int = MOST_RANGES) -> NDArray[np.int64]:
    """Divide a side's rows into contiguous ranges with about equally many ratings.

    Parameters
    ----------
    rows
        ``(n,)``: the row of each rating.
    count
        Number of rows.
    most
        Number of ranges; fewer where there are fewer rows.

    Returns
    -------
    starts
        ``(ranges + 1,)``: 0, the first row of each further range, ``count``. A range is empty where
        one row has more ratings than a range should.
    """
    ranges = min(most, count)
    rows = np.asarray(rows)
    visits = count_each(rows, count)
    range_of = (np.cumsum(visits) - visits) * ranges // len(rows)
    starts: NDArray[np.int64] = np.searchsorted(range_of, np.arange(ranges + 1))
    starts[-1] = count
    return starts


def _lay_out(
    ratings: Ratings,
    settings: TrainSettings,
    user_starts: NDArray[np.int64],
    item_starts: NDArray[np.int64],
) -> tuple[Ratings, jax.Array]:
    """Sort by pair of ranges, then into runs where these are the order.

    Returns the ratings, and uint32 ``(user ranges x item ranges,)``: each block's first.
    """
    item_ranges = len(item_starts) - 1
    blocks = (len(user_starts) - 1) * item_ranges
    device, host = next(iter(ratings.users.devices())), jax.local_devices(backend="cpu")[0]
    columns = kernels.lay_out(
        *(jax.device_put(x, host) for x in (ratings.users, ratings.items, ratings.ratings)),
        np.repeat(np.arange(0, blocks, item_ranges, dtype=np.uint32), np.diff(user_starts)),
        np.repeat(np.arange(item_ranges, dtype=np.uint32), np.diff(item_starts)),
        np.uint32(settings.seed),
        blocks=blocks,
        longest_run=LONGEST_RUN if settings.order == "runs" else 0,
        least_sweeps=LEAST_SWEEPS,
        threads=settings.threads or usable_cores(),
    )
    users, items, values, begin = (jax.device_put(x, device) for x in columns)
    return dataclasses.replace(ratings, users=users, items=items, ratings=values), begin
