"""The n best items for a batch of queries, in NumPy: what ``top_n`` does on a device.

For one query, a dispatch to a device takes longer than the search.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FEW: Final = 8
"""Queries that are scored one by one. Block by block, a product is too small for the threads of the
BLAS, which wait for each other longer than it takes: 0.03 ms for 3,700 items, or 40 on a busy
machine."""

_LOW: Final = np.int64(0xFFFF_FFFF)


def best_on_host(
    queries: NDArray[np.float32],
    items: NDArray[np.float32],
    offset: NDArray[np.float32],
    without: NDArray[np.int32],
    n: int,
    block: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return places and scores ``(size, n)`` of the n best items; minus infinity is no item.

    ``queries`` is ``(size, k)``, ``items`` ``(places, k)``, ``offset`` ``(places,)``, ``without``
    ``(2, pairs)``: query and place, left out where there is none. Places are cut into blocks; only
    the n with the highest maxima are searched.
    """
    places = len(items)
    scores = _scores(queries, items, block)
    there = without[:, without[1] < places]
    scores[there[1], there[0]] = -np.inf
    scores += offset[:, None]
    if places > 2 * n * block:
        by_block = scores.reshape(places // block, block, len(queries))
        chosen = np.sort(_largest(by_block.max(axis=1).T, n), axis=1)  # in order, as equals are
        within = by_block[chosen, :, np.arange(len(queries))[:, None]]
        within = within.reshape(len(queries), n * block)
        at = _largest(within, n)
        found = np.take_along_axis(chosen, at // block, axis=1) * block + at % block
        return found, np.take_along_axis(within, at, axis=1)
    found = _largest(scores.T, n)
    return found, np.take_along_axis(scores.T, found, axis=1)


def _scores(
    queries: NDArray[np.float32], items: NDArray[np.float32], block: int
) -> NDArray[np.float32]:
    """Return the inner products ``(places, size)``: maxima are then taken side by side."""
    if len(queries) > FEW:
        product: NDArray[np.float32] = items @ queries.T
        return product
    by_block = items.reshape(len(items) // block, block, items.shape[1])
    scores = np.empty((len(queries), len(items)), dtype=np.float32)
    for query, row in zip(queries, scores, strict=True):
        np.matmul(by_block, query, out=row.reshape(-1, block))
    return scores.T


def _largest(numbers: NDArray[np.float32], n: int) -> NDArray[np.int64]:
    """Return the places of the n largest of each row, largest first, the first of equal ones.

    ``numbers`` is ``(rows, m)``; without NaN and, but for equal rows, without -0.
    """
    count = numbers.shape[1]
    bits: NDArray[Any] = np.ascontiguousarray(numbers).view(np.int32)
    ordered = bits ^ (bits >> 31 & np.int32(0x7FFF_FFFF))  # integers in the order of the numbers
    # All keys differ: the place, from the last one on, is their lower half.
    keys = ordered.astype(np.int64) << 32 | (_LOW - np.arange(count))
    keys = np.partition(keys, count - n, axis=1)[:, count - n :]
    return _LOW - (np.sort(keys, axis=1)[:, ::-1] & _LOW)
