"""Which items each user has rated: what is not recommended again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mascot_jax.counting import count_each, sort_by
from mascot_jax.ids import IdTable, indices_of
from mascot_jax.interactions import Interactions
from mascot_jax.model import Model
from mascot_jax.pairs import Pairs


def seen_items(
    ratings: Interactions, user_ids: IdTable, item_ids: IdTable, known: Model | None
) -> Pairs:
    """Return the items of each user, ascending, each once.

    Parameters
    ----------
    ratings
        Of users and items that the id tables know.
    user_ids, item_ids
        Their indices are those of the result.
    known
        A model whose seen items are added, if it has kept them.
    """
    users, items = indices_of(ratings.users, user_ids), indices_of(ratings.items, item_ids)
    if known is not None and known.seen is not None:
        old_users = user_ids.encode(known.users.id_table.values, "user").astype(np.uint32)
        old_items = item_ids.encode(known.items.id_table.values, "item").astype(np.uint32)
        users = np.append(users, np.repeat(old_users, np.diff(known.seen.starts)))
        items = np.append(items, old_items[known.seen.items])
    return _in_rows(users, items, len(user_ids))


def _in_rows(users: NDArray[np.uint32], items: NDArray[np.uint32], count: int) -> Pairs:
    starts = np.append(0, np.cumsum(count_each(users, count)))
    items = items[sort_by(users, sort_by(items))]
    new = np.ones(len(items), dtype=np.bool_)
    np.not_equal(items[1:], items[:-1], out=new[1:])
    new[starts[:-1][np.diff(starts) > 0]] = True
    if not new.all():
        starts = np.append(0, np.cumsum(new))[starts]
        items = items[new]
    return Pairs(starts, items)


def rows_of(pairs: Pairs, rows: NDArray[np.int64]) -> Pairs:
    """Return some rows of a table in compressed rows; of -1 none."""
    lengths = np.where(rows < 0, 0, np.diff(pairs.starts)[rows])
    starts = np.append(0, np.cumsum(lengths))
    place = np.arange(starts[-1]) + np.repeat(pairs.starts[rows] - starts[:-1], lengths)
    return Pairs(starts, pairs.items[place])
