"""The items that each user has rated, which are not recommended again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts
from mascot_jax.engine.scratch import InMemory, Scratch
from mascot_jax.ids.column import Column
from mascot_jax.ids.table import IdTable
from mascot_jax.mf.model import Model
from mascot_jax.ranking.pairs import Pairs


def seen_items(
    users: Column, items: Column, user_ids: IdTable, item_ids: IdTable, known: Model | None
) -> Pairs:
    """Return the items of each user, ascending and without duplicates.

    Parameters
    ----------
    users, items
        Ids ``(n,)`` of the users and items of ratings; the tables must know them.
    user_ids, item_ids
        Tables whose indices the result has.
    known
        A model whose seen items are added, if it has kept them.
    """
    before = 0
    pairs = np.empty(users.size, dtype=np.uint64)
    if known is not None and known.seen is not None:
        before = len(known.seen.items)
        pairs = np.append(_known_pairs(known, user_ids, item_ids), pairs)
    for (part, own), (_, other) in zip(users.parts(), items.parts(), strict=True):
        pairs[before + part.start : before + part.stop] = packed(
            user_ids.encode(own, users.name), item_ids.encode(other, items.name)
        )
    pairs.sort()  # in place: the pairs are as large as the ratings
    seen = SeenItems(len(user_ids), InMemory(np.empty(len(pairs), dtype=np.uint32)))
    for part in parts(len(pairs)):
        seen.add(pairs[part])
    return seen.pairs()


def seen_before(
    users: NDArray[np.uint32],
    items: NDArray[np.uint32],
    user_ids: IdTable,
    item_ids: IdTable,
    known: Model,
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return what the users of these pairs have seen besides, by the model's record.

    Parameters
    ----------
    users, items
        Indices ``(n,)`` of pairs.
    user_ids, item_ids
        Tables that these are of; they know all ids of the model.
    known
        A model that has kept what its users have seen.

    Returns
    -------
    users, items
        Indices ``(m,)`` of other pairs, without duplicates.
    """
    before = _known_pairs(known, user_ids, item_ids)
    present = np.zeros(len(user_ids), dtype=np.bool_)
    present[users] = True
    before = before[present[(before >> np.uint64(32)).astype(np.int64)]]
    before = np.setdiff1d(before, packed(users, items))
    return (before >> np.uint64(32)).astype(np.uint32), before.astype(np.uint32)


def _known_pairs(known: Model, user_ids: IdTable, item_ids: IdTable) -> NDArray[np.uint64]:
    """Return the pairs a model has seen, in the indices of other tables that know all its ids."""
    assert known.seen is not None
    users = user_ids.encode(known.users.id_table.values, "user")
    items = item_ids.encode(known.items.id_table.values, "item")
    return packed(np.repeat(users, np.diff(known.seen.starts)), items[known.seen.items])


def packed(users: NDArray[np.integer[Any]], items: NDArray[np.integer[Any]]) -> NDArray[np.uint64]:
    """Pack pairs into numbers whose order is by user, then by item."""
    return users.astype(np.uint64) << np.uint64(32) | items.astype(np.uint64)


class SeenItems:
    """Takes sorted pairs, and returns them in compressed rows, without duplicates.

    Parameters
    ----------
    users
        Number of users.
    store
        A column uint32 for the items, as long as there are pairs at most.
    """

    def __init__(self, users: int, store: Scratch | InMemory) -> None:
        self._lengths = np.zeros(users, dtype=np.int64)
        self._store = store
        self._kept = 0
        self._last = np.full(1, 2**64 - 1, dtype=np.uint64)  # no pair

    def add(self, pairs: NDArray[np.uint64]) -> None:
        """Add ``packed`` pairs, at least one, none of which is before those of the last call."""
        new = pairs[np.append(pairs[:1] != self._last, pairs[1:] != pairs[:-1])]
        users = (new >> np.uint64(32)).astype(np.int64)
        self._lengths += np.bincount(users, minlength=len(self._lengths))
        self._store.write(0, self._kept, (new & np.uint64(0xFFFF_FFFF)).astype(np.uint32))
        self._kept += len(new)
        self._last = pairs[-1:].copy()

    def pairs(self) -> Pairs:
        """Return the items of each user."""
        (items,) = self._store.columns()
        return Pairs(np.append(0, np.cumsum(self._lengths)), items[: self._kept])
