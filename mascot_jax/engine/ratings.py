"""Ratings by row, checked once so that the kernels need not check them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts
from mascot_jax.engine.padding import default_device
from mascot_jax.engine.scratch import Scratch
from mascot_jax.errors import DataError

Triples = tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.float32]]
"""Users, items and ratings, ``(n,)`` each."""


class Strata(NamedTuple):
    """Blocks of ratings, by U ranges of users and I ranges of items.

    Ranges are contiguous rows. Block a I + b holds the ratings of user range a and item range b.
    Blocks that differ in both ranges share no row.
    """

    user_starts: jax.Array
    """uint32 ``(U + 1,)``: the first row of each range, then the number of rows; the arrays may be
    longer."""
    item_starts: jax.Array
    """uint32 ``(I + 1,)``."""
    begin: jax.Array
    """uint32 ``(U I,)``: the number of each block's first rating."""


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["user_draws", "item_weights", "weight"],
    meta_fields=["loss"],
)
@dataclasses.dataclass(frozen=True)
class Negatives:
    """What an epoch over interactions draws besides: items that a user has no interaction with."""

    user_draws: jax.Array
    """float32 ``(users,)``: items to draw for each user in an epoch, on average; the arrays may be
    longer. Those that the user has an interaction with are dropped."""
    item_weights: jax.Array
    """uint32 ``(items,)``: how often each item is drawn, compared with the others."""
    weight: jax.Array
    """float32 ``(1,)``: weight of a negative; that of an interaction is its value."""
    loss: str
    """``squared`` or ``logistic``."""


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["users", "items", "ratings", "strata", "extent", "negatives"],
    meta_fields=[
        *("user_count", "item_count", "order", "conflict_free", "rotations", "block_size"),
        *("scratch", "expendable"),
    ],
)
@dataclasses.dataclass(frozen=True)
class Ratings:
    """Ratings in numbered order; a rating's number is its position.

    ``make_ratings`` leaves the three arrays on the host; laying them out moves them to a device.
    """

    users: jax.Array | NDArray[np.uint32]
    """uint32 ``(n,)``: rows of the table of user factors."""
    items: jax.Array | NDArray[np.uint32]
    """uint32 ``(n,)``: rows of the table of item factors."""
    ratings: jax.Array | NDArray[np.float32]
    """float32 ``(n,)``."""
    user_count: int
    """Number of user rows."""
    item_count: int
    """Number of item rows."""
    strata: Strata | None = None
    """Blocks that ``engine.layout`` made; None if there are none."""
    order: str = "shuffled"
    """Order (``train.order``) that the ratings are laid out in; ``shuffled`` is as they came."""
    conflict_free: bool = False
    """Whether blocks are visited so that no two threads ever work on the same row."""
    rotations: int = 0
    """Of conflict-free blocks: in how many rotations (``train.rotations``) an epoch visits them; 0:
    in an order without any."""
    extent: jax.Array | None = None
    """uint32 ``(4,)``: how much of the arrays is used, if they are longer (``engine.padding``): the
    number of ratings in two words, the lower one first, and of user and item ranges. None: all."""
    block_size: int = 0
    """Ratings per block of an epoch without strata; 0: what their number asks for."""
    negatives: Negatives | None = None
    """Of interactions, which are in strata, and sorted by user and item within each block; their
    values are weights. None for ratings."""
    scratch: Scratch | None = None
    """File that the three arrays are memory maps of; None if they are in memory. Steps that change
    ratings then do it in the file."""
    expendable: bool = False
    """Whether steps that change ratings in memory may overwrite the arrays: then nobody else may
    need them."""

    def __len__(self) -> int:
        if self.extent is None:
            return int(self.users.shape[0])
        low, high = np.asarray(self.extent)[:2].tolist()
        return int(low | high << 32)

    def host(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.float32]]:
        """Return users, items and ratings as NumPy arrays, without padding."""
        used = slice(len(self))
        columns = self.users, self.items, self.ratings
        users, items, ratings = (np.asarray(column)[used] for column in columns)
        return users, items, ratings

    def check_read(self, users: NDArray[np.uint32], items: NDArray[np.uint32]) -> None:
        """Raise a DataError if rows that were read from ``scratch`` are of no table.

        Kernels do not look.
        """
        for rows, count in ((users, self.user_count), (items, self.item_count)):
            if rows.max(initial=0) >= count:
                assert self.scratch is not None
                raise DataError(
                    f"{self.scratch.folder}: ratings there are not what was written: see whether "
                    "its disk works"
                )

    @property
    def _in_place(self) -> bool:
        return self.expendable or self.scratch is not None

    def free(self) -> None:
        """Free the memory of the ratings on a device, which cannot be used any more."""
        for column in (self.users, self.items, self.ratings):
            if isinstance(column, jax.Array):
                column.delete()

    @property
    def platform(self) -> str:
        """Kind of the device that the ratings are on or will be moved to, as JAX names it."""
        platform: str = self.device.platform
        return platform

    @property
    def device(self) -> jax.Device:
        """Device of the ratings; JAX's default device for ratings on the host."""
        if isinstance(self.users, jax.Array):
            return next(iter(self.users.devices()))
        return default_device()

    def of_blocks(
        self, columns: Sequence[jax.Array | NDArray[Any]], strata: Strata, count: int
    ) -> Ratings:
        """Return the ratings of some of the blocks, by rows of whatever tables.

        A program is compiled for none of their numbers.

        Parameters
        ----------
        columns
            Users, items and ratings, ``(count or more,)``.
        strata
            Where ranges and blocks begin among them.
        count
            How many there are.
        """
        users, items, ratings = columns
        return dataclasses.replace(
            self,
            users=users,
            items=items,
            ratings=ratings,
            user_count=0,
            item_count=0,
            strata=strata,
            extent=extent_of(count, np.asarray(self.extent)[2:].tolist()),
            scratch=None,
        )

    def without(self, first: int, left_out: NDArray[np.bool_]) -> Ratings:
        """Return ratings without some of those from number ``first`` on, not laid out.

        ``left_out`` is bool ``(n - first,)``.
        """
        kept = first + int(np.count_nonzero(~left_out))
        columns = []
        for column in self.host():
            rest = column[first:][~left_out]
            if not self._in_place:
                columns.append(np.concatenate([column[:first], rest]))
                continue
            column[first:kept] = rest
            columns.append(column[:kept])
        users, items, ratings = columns
        return Ratings(
            users,
            items,
            ratings,
            self.user_count,
            self.item_count,
            scratch=self.scratch,
            expendable=self.expendable,
        )

    def with_values(self, new: Callable[[slice], NDArray[np.float32]]) -> Ratings:
        """Return ratings on the host with other values, which ``new`` returns part by part."""
        values = self.host()[2]
        changed = values if self._in_place else np.empty_like(values)
        for part in parts(len(values)):
            changed[part] = new(part)
        return dataclasses.replace(self, ratings=changed)


def extent_of(count: int, ranges: Sequence[int] = (0, 0)) -> jax.Array:
    """Return ``Ratings.extent`` of so many ratings, and of user and item ranges."""
    return jnp.array([count & 0xFFFF_FFFF, count >> 32, *ranges], dtype=jnp.uint32)


def make_ratings(
    users: NDArray[Any],
    items: NDArray[Any],
    ratings: NDArray[Any],
    user_count: int,
    item_count: int,
) -> Ratings:
    """Check ratings by row and copy them, on the host.

    Parameters
    ----------
    users, items
        Integers ``(n,)``, n >= 1.
    ratings
        Numbers ``(n,)``.
    user_count, item_count
        Rows of the factor tables.

    Raises
    ------
    DataError
        If lengths differ, there is no rating, a row is out of range or a rating is not finite as a
        float32.
    """
    # Copy: the kernels do not check rows again, so nobody else may write to them.
    own = np.array(users), np.array(items), np.array(ratings)
    return _checked(*own, user_count, item_count)


def _checked(
    users: NDArray[Any],
    items: NDArray[Any],
    ratings: NDArray[Any],
    user_count: int,
    item_count: int,
) -> Ratings:
    """Check ratings as ``make_ratings`` does, without copying them first."""
    if not len(users) == len(items) == len(ratings):
        raise DataError(
            "users, items and ratings must be equally many: "
            f"{len(users)}, {len(items)}, {len(ratings)}"
        )
    if len(users) == 0:
        raise DataError("there are no training ratings: at least one is needed")
    _check_rows(users, user_count, "user")
    _check_rows(items, item_count, "item")
    with np.errstate(over="ignore"):
        values = ratings.astype(np.float32, copy=False)
    for part in parts(len(values)):
        bad = part.start + np.flatnonzero(~np.isfinite(values[part]))
        if bad.size:
            raise DataError(
                f"rating number {bad[0]} is {ratings[bad[0]]}: must be finite as a float32"
            )
    users, items = users.astype(np.uint32, copy=False), items.astype(np.uint32, copy=False)
    return Ratings(users, items, values, user_count, item_count)


def relabelled_ratings(
    users: NDArray[np.uint32],
    items: NDArray[np.uint32],
    ratings: NDArray[np.float32],
    user_row_of: NDArray[np.uint32],
    item_row_of: NDArray[np.uint32],
) -> Ratings:
    """Replace indices by regrouped rows.

    Parameters
    ----------
    users, items
        uint32 ``(n,)``: indices; overwritten with rows, so that large data need no second copy.
    ratings
        float32 ``(n,)``. The result shares the memory of all three arrays: do not write to them
        afterwards.
    user_row_of, item_row_of
        uint32 ``(user_count,)`` and ``(item_count,)``: the row of each index.

    Raises
    ------
    DataError
        As for ``make_ratings``.
    """
    for ids, row_of, kind in ((users, user_row_of, "user"), (items, item_row_of, "item")):
        if len(ids):
            _check_rows(ids, len(row_of), kind)
        for part in parts(len(ids)):
            ids[part] = row_of[ids[part]]
    return _checked(users, items, ratings, len(user_row_of), len(item_row_of))


def _check_rows(ids: NDArray[Any], count: int, kind: str) -> None:
    if not np.issubdtype(ids.dtype, np.integer):
        raise DataError(f"{kind} indices must be integers, not {ids.dtype}")
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= count:
        found = low if low < 0 else high
        raise DataError(f"{kind} index {found} is out of range: there are {count} {kind}s")
