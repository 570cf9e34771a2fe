"""Which worker keeps which ranges of rows and which ratings; on the host, in NumPy."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import aligned_zeros, parts
from mascot_jax.engine.padding import LEAST_RATINGS, places
from mascot_jax.engine.ratings import Ratings, Strata
from mascot_jax.engine.scratch import RATINGS, InMemory
from mascot_jax.engine.turns import tiled
from mascot_jax.errors import SettingsError

USERS, ITEMS = 0, 1


@dataclasses.dataclass(frozen=True)
class Ranges:
    """How one side's rows are cut: into ranges, and into groups.

    Attributes
    ----------
    starts
        int64 ``(ranges + 1,)``: first row of each range, then the number of rows.
    groups
        int64 ``(g + 1,)``: first row of each group, then the number of rows.
    """

    starts: NDArray[np.int64]
    groups: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """int64 ``(ranges, g)``: rows of each range in each group."""
        begin = np.maximum(self.starts[:-1, None], self.groups[None, :-1])
        end = np.minimum(self.starts[1:, None], self.groups[None, 1:])
        rows: NDArray[np.int64] = np.maximum(end - begin, 0)
        return rows

    @cached_property
    def parts(self) -> NDArray[np.int64]:
        """int64 ``(ranges,)``: groups that each range has rows of; each has sums of its own."""
        parts: NDArray[np.int64] = np.count_nonzero(self.rows, axis=1).astype(np.int64)
        return parts


@dataclasses.dataclass(frozen=True)
class Division:
    """Who keeps what of a training in conflict-free blocks, U ranges of users by I of items.

    Attributes
    ----------
    workers
        Number of workers.
    sides
        Ranges of users, and of items.
    begin
        int64 ``(U I + 1,)``: number of each block's first rating, then the number of ratings.
    stays
        The side whose ranges stay with their owners, ``USERS`` or ``ITEMS``: the one with more
        rows. The other one's travel.
    owner
        int64 ``(ranges that stay,)``: the worker that keeps each.
    rotations
        Of the order of the blocks (``Ratings.rotations``).
    """

    workers: int
    sides: tuple[Ranges, Ranges]
    begin: NDArray[np.int64]
    stays: int
    owner: NDArray[np.int64]
    rotations: int = 0

    @property
    def travels(self) -> int:
        """The side whose ranges travel."""
        return 1 - self.stays

    @property
    def counts(self) -> NDArray[np.int64]:
        """int64 ``(U, I)``: ratings of each block."""
        return np.diff(self.begin).reshape(len(self.sides[0]), len(self.sides[1]))

    def kept(self, worker: int) -> NDArray[np.bool_]:
        """Return which rows of the staying side a worker keeps, bool ``(rows,)``."""
        return np.repeat(self.owner == worker, np.diff(self.sides[self.stays].starts))

    def ranges_of(self, worker: int) -> NDArray[np.uint32]:
        """Return the rows of the staying side that a worker keeps, uint32 ``(n, 2)``.

        First row of each range with rows, and the row after its last; ranges rise.
        """
        starts = self.sides[self.stays].starts
        ranges = np.stack([starts[:-1], starts[1:]], axis=1)
        mine = (self.owner == worker) & (np.diff(starts) > 0)
        result: NDArray[np.uint32] = ranges[mine].astype(np.uint32)
        return result

    def starts_at(self, worker: int, starts: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Return where ranges or groups of the staying side start in a worker's table.

        Ranges that it does not keep, and groups of which it keeps no row, have no rows there.
        """
        before = np.concatenate([[0], np.cumsum(self.kept(worker))])
        result: NDArray[np.uint32] = before[starts].astype(np.uint32)
        return result

    @cached_property
    def place(self) -> NDArray[np.uint32]:
        """uint32 ``(rows,)``: place of each row of the staying side in its owner's table."""
        places = np.empty(self.sides[self.stays].starts[-1], dtype=np.uint32)
        for worker in range(self.workers):
            kept = self.kept(worker)
            places[kept] = np.arange(np.count_nonzero(kept), dtype=np.uint32)
        return places

    @cached_property
    def keeper(self) -> NDArray[np.int64]:
        """int64 ``(rows,)``: owner of each row of the staying side."""
        return np.repeat(self.owner, np.diff(self.sides[self.stays].starts))

    def parts_kept(self, worker: int) -> NDArray[np.int64]:
        """Return which of the staying side's pairs of range and group are a worker's, ``(p,)``."""
        return np.flatnonzero(np.repeat(self.owner == worker, self.sides[self.stays].parts))

    def ratings_of(self, worker: int, ratings: Ratings) -> Ratings:
        """Return a worker's ratings, in memory of the host, by rows of its own tables.

        Arrays are as long as those of the worker with the most ratings. Besides them next to no
        memory is needed: what lies in a file is read from there.

        Raises
        ------
        DataError
            If the file cannot be read, or holds something else than was written.
        """
        counts = self._counts_of(worker)
        most = max(int(self._counts_of(w).sum()) for w in range(self.workers))
        columns = [aligned_zeros((places(most, LEAST_RATINGS),), dtype) for dtype in RATINGS]
        self._read(worker, ratings, columns)
        starts = [side.starts.astype(np.uint32) for side in self.sides]
        starts[self.stays] = self.starts_at(worker, self.sides[self.stays].starts)
        begin = (np.cumsum(counts) - counts).astype(np.uint32)
        strata = Strata(*(jnp.asarray(x) for x in (*starts, begin)))
        return ratings.of_blocks(columns, strata, int(counts.sum()))

    def _read(self, worker: int, ratings: Ratings, columns: list[NDArray[Any]]) -> None:
        """Write a worker's ratings to columns that are long enough."""
        store = InMemory(*ratings.host()) if ratings.scratch is None else ratings.scratch
        edges = np.flatnonzero(np.diff(self._blocks_of(worker), prepend=False, append=False))
        count = 0
        for first, end in self.begin[edges].reshape(-1, 2).tolist():
            for number, column in enumerate(columns):
                store.read(number, first, column[count : count + end - first])
            count += end - first
        if ratings.scratch is not None:
            ratings.check_read(*(column[:count] for column in columns[:2]))
        rows = columns[self.stays]
        for part in parts(count):
            rows[part] = self.place[rows[part]]

    def _blocks_of(self, worker: int) -> NDArray[np.bool_]:
        """Return which blocks a worker keeps, bool ``(U I,)``."""
        shape = (-1, 1) if self.stays == USERS else (1, -1)
        kept = (self.owner == worker).reshape(shape)
        return np.broadcast_to(kept, self.counts.shape).reshape(-1)

    def _counts_of(self, worker: int) -> NDArray[np.int64]:
        """Return the ratings of each block that a worker keeps, int64 ``(U I,)``."""
        return np.where(self._blocks_of(worker), self.counts.reshape(-1), 0)


def divide(
    ratings: Ratings,
    user_groups: NDArray[np.uint32],
    item_groups: NDArray[np.uint32],
    workers: int,
) -> Division:
    """Divide a training among workers, so that rows and ratings are about equally many.

    Parameters
    ----------
    ratings
        Laid out in conflict-free blocks.
    user_groups, item_groups
        uint32 ``(g + 1,)``: first row of each group, then the number of rows.
    workers
        Number of workers.

    Raises
    ------
    SettingsError
        If there are more workers than ranges with rows.
    """
    assert ratings.strata is not None
    assert ratings.extent is not None
    users, items = np.asarray(ratings.extent)[2:].tolist()
    sides = (
        Ranges(*_host(jax.device_get(ratings.strata.user_starts)[: users + 1], user_groups)),
        Ranges(*_host(jax.device_get(ratings.strata.item_starts)[: items + 1], item_groups)),
    )
    begin = np.append(np.asarray(ratings.strata.begin)[: users * items], len(ratings))
    stays = USERS if sides[USERS].starts[-1] >= sides[ITEMS].starts[-1] else ITEMS
    rows = np.diff(sides[stays].starts)
    counts = np.diff(begin.astype(np.int64)).reshape(users, items).sum(axis=1 - stays)
    most = np.count_nonzero(rows)
    if workers > most:
        raise SettingsError(
            f"distributed: {workers} processes are more than there are ranges of rows ({most}) "
            "to share out: start no more processes than that"
        )
    owner = (
        share_tiles(rows, workers)
        if ratings.rotations
        else share_out(rows * counts.sum() + counts * rows.sum(), workers)
    )
    return Division(workers, sides, begin.astype(np.int64), stays, owner, ratings.rotations)


def _host(*arrays: NDArray[np.uint32]) -> list[NDArray[np.int64]]:
    return [array.astype(np.int64) for array in arrays]


def share_out(costs: NDArray[np.int64], workers: int) -> NDArray[np.int64]:
    """Return a worker for each range, int64 ``(ranges,)``: the dearest first, to who has least."""
    owner, load = np.zeros(len(costs), dtype=np.int64), [0] * workers
    for number in np.argsort(-costs, kind="stable").tolist():
        owner[number] = load.index(min(load))
        load[owner[number]] += int(costs[number])
    return owner


def share_tiles(rows: NDArray[np.int64], workers: int) -> NDArray[np.int64]:
    """Return a worker for each range, int64 ``(ranges,)``, given their rows: tiles in a row.

    Tiles are alike (``engine.turns.tiled``), and so are the shares of them. Where a worker would
    have tiles without a row only, ranges with rows are dealt out alone, and tiles are parted.
    """
    order = tiled(len(rows))
    owner = _in_a_row(order, workers, len(rows))
    if np.unique(owner[rows > 0]).size < workers:
        owner = _in_a_row(order[rows[order] > 0], workers, len(rows))
    return owner


def _in_a_row(order: NDArray[np.int64], workers: int, ranges: int) -> NDArray[np.int64]:
    owner = np.zeros(ranges, dtype=np.int64)
    owner[order] = np.arange(len(order)) * workers // len(order)
    return owner
