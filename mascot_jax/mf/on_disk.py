"""Indexed ratings on disk, in the order that ``mf.fit`` gives to those in memory.

That order is the seed's shuffle of the ratings sorted by user, item and rating. So they are sorted
by buckets of users, divided among windows of the places that the shuffle has for them, and put in
place there. In memory are one bucket or one window at a time, and the shuffle: 4 bytes a rating
while it is drawn, 2 for the windows then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

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
more. There are as many places in a window."""
WRITTEN: Final = 52 + layout.WRITTEN
"""Bytes of a rating that are written in all until it is laid out, without those of ``SEEN``."""
SEEN: Final = 4
"""Bytes of an item that a user has rated."""
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
        folder.expected = (WRITTEN + SEEN * keep_seen) * ratings.size
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
        order = _shuffled(ratings.size, seed, folder)
        self._seen = None
        if keep_seen:
            file = Scratch(folder, ratings.size, (_INDEX,))
            self._seen = SeenItems(len(self.user_ids), file)
        self.scratch = self._by_window(buckets, _windows(order))
        del buckets
        _place(self.scratch, order)
        self.users, self.items, self.ratings = self.scratch.ratings()

    @property
    def seen(self) -> Pairs | None:
        """The items that each user has rated, if they are kept: a memory map."""
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

    def _by_window(self, buckets: Scratch, window_of: NDArray[np.uint16]) -> Scratch:
        """Return the ratings by the windows of their places, in a file; each window is sorted."""
        sizes = [window.stop - window.start for window in parts(len(buckets), BUCKET)]
        by_window = Scratch(buckets.folder, len(buckets))
        rows = ((window_of[span], ratings) for span, ratings in self._sorted(buckets.columns()))
        divide(rows, np.array(sizes), by_window)
        return by_window

    def _sorted(self, ratings: Arrays) -> Iterator[tuple[slice, Arrays]]:
        """Yield each bucket, and its ratings by user, item and value."""
        for span in map(slice, self._first[:-1].tolist(), self._first[1:].tolist()):
            users, items, values = (column[span] for column in ratings)
            order = sort_by(users, items, values.view(np.uint32))
            users, items, values = users[order], items[order], values[order]
            if self._seen is not None:
                self._seen.add(packed(users, items))
            yield span, (users, items, values)


def _shuffled(count: int, seed: int, folder: ScratchFolder) -> Scratch:
    """Return the sorted number of the rating at each place, in a file."""
    order, file = numbers(count), Scratch(folder, count, (_INDEX,))
    np.random.default_rng(seed).shuffle(order)
    for part in parts(count, DIVIDED_AT_A_TIME):
        file.write(0, part.start, order[part])
    return file


def _windows(order: Scratch) -> NDArray[np.uint16]:
    """Return the window of each rating's place, ``(n,)``, by the ratings' sorted numbers."""
    (sorted_,), window_of = order.columns(), np.empty(len(order), dtype=np.uint16)
    for number, window in enumerate(parts(len(order), BUCKET)):
        window_of[sorted_[window]] = number
    return window_of


def _place(windows: Scratch, order: Scratch) -> None:
    """Move the ratings of each window, which are sorted, to their places there."""
    (sorted_,), columns = order.columns(), windows.columns()
    for window in parts(len(order), BUCKET):
        places = np.argsort(sorted_[window])
        for number, column in enumerate(columns):
            values = np.empty_like(column[window])
            values[places] = column[window]
            windows.write(number, window.start, values)


def _changed() -> DataError:
    return DataError("the ratings have changed while they were read: start again")
