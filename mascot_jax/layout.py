"""Laying ratings out, once per training, for the order that its epochs visit them in.

Design 4 and 5: conflict-free blocks, as many as the data allow up to 64 x 64. With 8 x 8, RMSE on
MovieLens 1M was 0.003 worse, with 64 x 64 it was not (docs/decisions.md).
"""

from __future__ import annotations

from typing import Any, Final

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.errors import BackendError
from mascot_jax.ratings import Ratings, Strata
from mascot_jax.settings import TrainSettings

MOST_RANGES: Final = 64
"""Of users, and of items; fewer only where there are fewer rows. The data fix them: were they as
many as the threads, results would depend on these."""


def lay_out(ratings: Ratings, settings: TrainSettings) -> Ratings:
    """Return ratings in the order in which training numbers them.

    Parameters
    ----------
    ratings
        As they came, in their seeded order; or laid out by this function for the same settings,
        which are returned as they are.
    settings
        Where they ask for a deterministic training, or leave that to the device and it is a CPU,
        ratings are put into conflict-free blocks, in their seeded order within each.

    Raises
    ------
    BackendError
        If the settings ask for what only the CPU can do, and the ratings are elsewhere.
    ValueError
        If the ratings have been laid out for other settings.
    """
    if is_laid_out(ratings, settings):
        return ratings
    if ratings.strata is not None:
        raise ValueError("the ratings have been laid out for other settings already")
    platform = _platform(ratings)
    if platform != "cpu":
        raise BackendError(
            f"train.deterministic: {platform} runs Hogwild only; set train.backend to cpu"
        )
    users, items = np.asarray(ratings.users), np.asarray(ratings.items)
    user_starts = range_starts(users, ratings.user_count)
    item_starts = range_starts(items, ratings.item_count)
    block = _blocks(users, items, user_starts, item_starts)
    begin = np.zeros((len(user_starts) - 1) * (len(item_starts) - 1) + 1, dtype=np.int64)
    np.cumsum(np.bincount(block, minlength=len(begin) - 1), out=begin[1:])
    order = np.argsort(block, kind="stable")  # 16 bits: NumPy sorts these by counting
    strata = Strata(*(_on_device(x) for x in (user_starts, item_starts, begin[:-1])))
    return Ratings(
        _on_device(users[order]),
        _on_device(items[order]),
        jnp.asarray(np.asarray(ratings.ratings)[order]),
        ratings.user_count,
        ratings.item_count,
        strata,
    )


def is_laid_out(ratings: Ratings, settings: TrainSettings) -> bool:
    """Return whether ratings lie as ``lay_out`` would put them for these settings."""
    return (ratings.strata is not None) == settings.on(_platform(ratings)).deterministic


def _platform(ratings: Ratings) -> str:
    platform: str = next(iter(ratings.users.devices())).platform
    return platform


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
    visits = np.bincount(rows, minlength=count)
    range_of = (np.cumsum(visits) - visits) * ranges // len(rows)
    starts: NDArray[np.int64] = np.searchsorted(range_of, np.arange(ranges + 1))
    starts[-1] = count
    return starts


def _blocks(
    users: NDArray[np.uint32],
    items: NDArray[np.uint32],
    user_starts: NDArray[np.int64],
    item_starts: NDArray[np.int64],
) -> NDArray[np.uint16]:
    """Return the block of each rating, ``(n,)``."""
    item_ranges = len(item_starts) - 1
    first = np.arange(len(user_starts) - 1, dtype=np.uint16) * np.uint16(item_ranges)
    block = np.repeat(first, np.diff(user_starts))[users]
    block += np.repeat(np.arange(item_ranges, dtype=np.uint16), np.diff(item_starts))[items]
    return block


def _on_device(values: NDArray[Any]) -> Any:
    return jnp.asarray(values.astype(np.uint32, copy=False))
