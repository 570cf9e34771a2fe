"""The items that are left for each query once others are taken away, without a list of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mascot_jax.ranking.pairs import Pairs
from mascot_jax.ranking.top_n import TopN


class Rest:
    """An ordered choice of items, less those that each query must not get.

    Parameters
    ----------
    chosen
        uint32 ``(m,)``: items in an order, none twice.
    excluded
        Items that each of b queries must not get, in any order; others than the chosen do not
        matter.
    """

    def __init__(self, chosen: NDArray[np.uint32], excluded: Pairs) -> None:
        self._chosen = chosen
        queries, places = self._taken(excluded)
        taken = np.bincount(queries, minlength=len(excluded.starts) - 1)
        self._starts = np.append(0, np.cumsum(taken))
        # How many that are left come before each one taken away: ascending for a query.
        before = places - (np.arange(len(places)) - self._starts[queries])
        self._step = len(chosen) + 1
        self._keys = queries * self._step + before
        self.counts: NDArray[np.int64] = len(chosen) - taken
        """int64 ``(b,)``: how many items each query has left."""

    def _taken(self, excluded: Pairs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return query and place of the chosen items that are excluded, ascending, none twice."""
        most = int(max(self._chosen.max(initial=0), excluded.items.max(initial=0))) + 1
        place_of = np.full(most, -1, dtype=np.int64)
        place_of[self._chosen] = np.arange(len(self._chosen))
        places = place_of[excluded.items]
        there = places >= 0
        queries = np.repeat(np.arange(len(excluded.starts) - 1), np.diff(excluded.starts))[there]
        size = max(len(self._chosen), 1)
        found = np.divmod(np.unique(queries * size + places[there]), size)
        return found[0], found[1]

    def items(self, queries: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Return what is left at numbers, from 0, of queries: uint32 of their common shape.

        Each number is below the query's count.
        """
        before = np.searchsorted(self._keys, queries * self._step + numbers, side="right")
        found: NDArray[np.uint32] = self._chosen[numbers + before - self._starts[queries]]
        return found

    def first(self, n: int) -> TopN:
        """Return the first n items that each query has left; fewer if there are fewer.

        Scores are zeros.
        """
        lengths = np.minimum(self.counts, n)
        queries = np.repeat(np.arange(len(lengths)), lengths)
        ends = np.cumsum(lengths)
        numbers = np.arange(len(queries)) - np.repeat(ends - lengths, lengths)
        items = self.items(queries, numbers)
        return TopN(queries, items, np.zeros(len(items), dtype=np.float32))

    def sample(
        self, queries: NDArray[np.int64], count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
        """Draw ``count`` different items that are left for each of some queries, uniformly.

        Floyd's algorithm: Bentley and Floyd, "A sample of brilliance", CACM 1987.

        Parameters
        ----------
        queries
            int64 ``(r,)``; a query may be there more than once.
        count
            Items wanted; where fewer are left, all of them are drawn.
        rng
            Gives ``r * count`` numbers, those of one row after those of the other.

        Returns
        -------
        items
            uint32 ``(r, count)``.
        there
            bool ``(r, count)``: whether there is an item; 0 is in its place where there is none.
        """
        drawn = rng.random((len(queries), count))
        left = self.counts[queries]
        numbers = np.full((len(queries), count), -1, dtype=np.int64)
        first = left - np.minimum(left, count)
        for column in range(count):
            last = first + column
            number = (drawn[:, column] * (last + 1)).astype(np.int64)
            again = (numbers[:, :column] == number[:, None]).any(axis=1)
            numbers[:, column] = np.where(last < left, np.where(again, last, number), -1)
        there = numbers >= 0
        items = np.zeros(numbers.shape, dtype=np.uint32)
        items[there] = self.items(
            np.broadcast_to(queries[:, None], there.shape)[there], numbers[there]
        )
        return items, there
