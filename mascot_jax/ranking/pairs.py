"""Pairs of users and items in compressed rows, such as the items that each user has rated."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Pairs(NamedTuple):
    """Items of each of b users, or of other queries, in compressed rows."""

    starts: NDArray[np.int64]
    """``(b + 1,)``: row i has the items ``starts[i]`` to ``starts[i + 1] - 1``."""
    items: NDArray[np.uint32]
    """``(starts[b],)``: item indices."""

    def rows(self, indices: NDArray[np.int64]) -> Pairs:
        """Return the rows at ``indices`` ``(n,)``; an empty row for -1, an unknown user."""
        first = self.starts[indices]
        lengths = np.where(indices < 0, 0, self.starts[indices + 1] - first)
        starts = np.append(0, np.cumsum(lengths))
        place = np.arange(starts[-1]) + np.repeat(first - starts[:-1], lengths)
        return Pairs(starts, self.items[place])

    def have(
        self, queries: NDArray[np.int64], items: NDArray[np.integer[Any]]
    ) -> NDArray[np.bool_]:
        """Return whether rows hold items, bool ``(n,)``; items ascend within each row.

        Parameters
        ----------
        queries, items
            ``(n,)`` each: a row and an item that it may hold.
        """
        low, high = self.starts[queries], self.starts[queries + 1]
        end = high.copy()
        while (open_ := low < high).any():  # a binary search in all rows at once
            middle = (low + high) // 2
            below = self.items[np.where(open_, middle, 0)] < items
            low = np.where(open_ & below, middle + 1, low)
            high = np.where(open_ & ~below, middle, high)
        inside = low < end
        inside[inside] = self.items[low[inside]] == items[inside]
        return inside


def make_pairs(
    queries: NDArray[np.integer[Any]], items: NDArray[np.integer[Any]], count: int
) -> Pairs:
    """Put items ``(n,)`` in the rows of their queries ``(n,)``, of which there are ``count``.

    Items ascend within a row, none twice.
    """
    order = np.lexsort((items, queries))
    queries, items = queries[order], items[order]
    new = np.append(True, (queries[1:] != queries[:-1]) | (items[1:] != items[:-1]))[: len(items)]
    lengths = np.bincount(queries[new], minlength=count)
    return Pairs(np.append(0, np.cumsum(lengths)), items[new].astype(np.uint32))
