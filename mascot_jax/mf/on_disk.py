"""Indexed ratings on disk, in the order that ``mf.fit`` gives to those in memory.

That order is the seed's shuffle of the ratings sorted by user, item and rating. So they are sorted
by buckets of users that memory holds, and written to the places that the shuffle has for them,
again by way of buckets. In memory are a bucket, 4 bytes a rating for the shuffle, and afterwards as
many for the items that each user has rated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import count_each, numbers, parts, sort_by
from mascot_jax.engine import layout
from mascot_jax.engine.ratings import Triples
from mascot_jax.engine.scratch import (
    DIVIDED_AT_A_TIME,
    RATINGS,
    Arrays,
    Scratch,
    ScratchFolder,
    divide,
)
from mascot_jax.errors import DataError
from mascot_jax.ids.file import warn_unsavable
from mascot_jax.ids.table import table_of
from mascot_jax.mf.interactions import Source
from mascot_jax.mf.seen import SeenItems, packed
from mascot_jax.ranking.pairs import Pairs

BUCKET: Final = 1 << 22
"""Ratings that are sorted at a time, some 300 MiB; a bucket has all ratings of its users, be they
more."""
WRITTEN: Final = 60 + layout.WRITTEN
"""Bytes of a rating that are written in all until it is laid out."""
_INDEX: Final = np.dtype(np.uint32)


class TableOnDisk:
    """Indexed ratings in their seeded order, in a file.

    Parameters
    ----------
    ratings
        Read twice, or more often for the ids.
    seed
        Of the order.
    folder
        Where files go.
    keep_seen
        Whether to find the items that each user has rated.

    Attributes
    ----------
    users, items, ratings
        Columns ``(n,)``, memory maps of ``scratch``.
    given
        The ratings in their original order, a memory map.
    """

    def __init__(
        self, ratings: Source, seed: int, folder: ScratchFolder, *, keep_seen: bool
    ) -> None:
        if ratings.size > layout.MOST_PLACES:
            raise DataError(
                f"{ratings.size} ratings: there are {layout.MOST_PLACES} places at most"
            )
        folder.expected = WRITTEN * ratings.size
        self.user_ids, self.item_ids = table_of(ratings.users), table_of(ratings.items)
        warn_unsavable(self.user_ids, "user")
        warn_unsavable(self.item_ids, "item")
        pairs = Scratch(folder, ratings.size, RATINGS[:2])
        values = Scratch(folder, ratings.size, RATINGS[2:])
        self._index(ratings, pairs, values)
        (self.given,) = values.columns()
        users, items = pairs.columns()
        self._bucket_by_user(users)
        buckets = self._divided((users, items, self.given), folder)
        del pairs, users, items
        places = self._places(seed, folder)
        self._seen = SeenItems(len(self.user_ids), ratings.size) if keep_seen else None
        windows = self._by_window(buckets, places)
        del buckets, places
        self.scratch = _placed(windows)
        self.users, self.items, self.ratings = self.scratch.ratings()

    @property
    def seen(self) -> Pairs | None:
        """The items that each user has rated, if they are kept."""
        return None if self._seen is None else self._seen.pairs()

    def release(self) -> Triples:
        """Return the columns, and drop them here."""
        columns = self.users, self.items, self.ratings
        del self.users, self.items, self.ratings
        return columns

    def _index(self, ratings: Source, pairs: Scratch, values: Scratch) -> None:
        at = 0
        for users, items, given in ratings.parts():
            sides = (self.user_ids, users, "user"), (self.item_ids, items, "item")
            for column, (table, ids, name) in enumerate(sides):
                indices = table.encode(ids, name)
                if at + len(indices) > ratings.size or indices.min() < 0:
                    raise _changed()
                pairs.write(column, at, indices.astype(np.uint32))
            values.write(0, at, given)
            at += len(given)
        if at < ratings.size:
            raise _changed()

    def _bucket_by_user(self, users: NDArray[np.uint32]) -> None:
        """Find buckets of users that follow each other, and where their ratings begin."""
        visits = count_each(users, len(self.user_ids))
        before = np.cumsum(visits) - visits
        bucket = before // BUCKET
        self._bucket_of = np.unique(bucket, return_inverse=True)[1].astype(np.uint16)
        sizes = np.bincount(self._bucket_of, weights=visits).astype(np.int64)
        self._first = np.append(0, np.cumsum(sizes))

    def _divided(self, columns: Arrays, folder: ScratchFolder) -> Scratch:
        """Return the ratings by bucket, in a file."""
        divided = Scratch(folder, len(columns[0]))
        rows = (
            (self._bucket_of[columns[0][part]], tuple(column[part] for column in columns))
            for part in parts(len(columns[0]), DIVIDED_AT_A_TIME)
        )
        divide(rows, np.diff(self._first), divided)
        return divided

    def _places(self, seed: int, folder: ScratchFolder) -> Scratch:
        """Return sorted numbers of the ratings, by bucket, and the place of each, in a file."""
        count = int(self._first[-1])
        order = numbers(count)
        np.random.default_rng(seed).shuffle(order)
        places = Scratch(folder, count, (_INDEX, _INDEX))

        def rows() -> Iterator[tuple[NDArray[Any], Arrays]]:
            for part in parts(count, DIVIDED_AT_A_TIME):
                sorted_ = order[part]
                bucket = np.searchsorted(self._first, sorted_, side="right") - 1
                place = np.arange(part.start, part.stop, dtype=np.uint32)
                yield bucket.astype(np.uint16), (sorted_, place)

        divide(rows(), np.diff(self._first), places)
        return places

    def _by_window(self, buckets: Scratch, places: Scratch) -> Scratch:
        """Return the ratings and their places by windows of ``BUCKET`` places, in a file."""
        count = int(self._first[-1])
        windows = np.diff(np.append(np.arange(0, count, BUCKET), count))
        by_window = Scratch(buckets.folder, count, (*RATINGS, _INDEX))
        rows = (
            ((columns[3] // np.uint32(BUCKET)).astype(np.uint16), columns)
            for columns in self._sorted(buckets.columns(), places.columns())
        )
        divide(rows, windows, by_window)
        return by_window

    def _sorted(self, ratings: Arrays, places: Arrays) -> Iterator[Arrays]:
        """Yield the ratings of each bucket by user, item and value, and the places of each."""
        for first, end in zip(self._first[:-1].tolist(), self._first[1:].tolist(), strict=True):
            users, items, values = (column[first:end] for column in ratings)
            order = sort_by(users, items, values.view(np.uint32))
            users, items, values = users[order], items[order], values[order]
            if self._seen is not None:
                self._seen.add(packed(users, items))
            place = np.empty(end - first, dtype=np.uint32)
            place[places[0][first:end] - np.uint32(first)] = places[1][first:end]
            yield users, items, values, place


def _placed(windows: Scratch) -> Scratch:
    """Return the ratings at their places, in a file."""
    *columns, place = windows.columns()
    placed = Scratch(windows.folder, len(windows))
    for window in parts(len(windows), BUCKET):
        there = place[window] - np.uint32(window.start)
        for number, column in enumerate(columns):
            values = np.empty_like(column[window])
            values[there] = column[window]
            placed.write(number, window.start, values)
    return placed


def _changed() -> DataError:
    return DataError("the ratings have changed while they were read: start again")
