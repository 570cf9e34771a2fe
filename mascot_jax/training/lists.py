"""The quality of a state's lists, by interactions that are held out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import sort_by
from mascot_jax.engine.ratings import Triples
from mascot_jax.engine.tables import to_host
from mascot_jax.ranking.metrics import ranking_metrics
from mascot_jax.ranking.pairs import Pairs
from mascot_jax.ranking.top_n import top_n
from mascot_jax.tables.table import Table

LENGTH: Final = 10
"""Items of a list."""
USERS: Final = 2000
"""Most users whose lists are scored after an epoch, equally spaced among those with held-out
interactions: the mean of their NDCG has an error of about 0.006, which hardly differs from one
epoch to the next."""


class HeldOutLists:
    """Interactions that are not trained on, and what the lists of their users must leave out.

    Parameters
    ----------
    held_out
        Rows of users and of items, and values, by which nothing is weighted.
    met
        Likewise of the interactions that lists leave out.
    user_count
        Number of user rows.
    warm_items
        Items from this row on are in no list.
    most_users
        Users whose lists are scored, at most.
    """

    def __init__(
        self,
        held_out: Triples,
        met: Triples,
        user_count: int,
        warm_items: int,
        *,
        most_users: int = USERS,
    ) -> None:
        users = np.unique(held_out[0])
        count = min(len(users), most_users)
        self._users = users[np.linspace(0, len(users) - 1, count).astype(np.intp)]
        self._relevant = _rows(held_out, self._users, user_count)
        self._seen = _rows(met, self._users, user_count)
        self._warm_items = warm_items
        self._count = len(held_out[0])

    def __len__(self) -> int:
        return self._count

    def arrays(self) -> Iterator[NDArray[Any]]:
        """Yield every array that scores depend on, to make a digest."""
        yield from (self._users, *self._relevant, *self._seen)

    def score(self, users: Table, items: Table) -> float:
        """Return the mean NDCG of the users' lists of 10 items."""
        queries, candidates = to_host(users), to_host(items)
        found = top_n(
            queries.dense(self._users),
            candidates.dense(np.arange(self._warm_items, dtype=np.uint32)),
            LENGTH,
            exclude=self._seen,
        )
        return ranking_metrics(found, self._relevant, LENGTH, len(candidates)).ndcg

    def score_popular(self, visits: NDArray[np.int64]) -> float:
        """Return the same of lists by the number of interactions, ``(items,)``."""
        found = top_n(
            np.ones((len(self._users), 1), dtype=np.float32),
            visits[: self._warm_items, None].astype(np.float32),
            LENGTH,
            exclude=self._seen,
        )
        return ranking_metrics(found, self._relevant, LENGTH, len(visits)).ndcg


def _rows(triples: Triples, users: NDArray[np.uint32], user_count: int) -> Pairs:
    """Return the items of some users, ascending."""
    place = np.full(user_count, -1, dtype=np.int64)
    place[users] = np.arange(len(users))
    own = place[triples[0]]
    rows, items = own[own >= 0].astype(np.uint32), triples[1][own >= 0]
    order = sort_by(rows, items)
    starts = np.append(0, np.cumsum(np.bincount(rows, minlength=len(users))))
    return Pairs(starts.astype(np.int64), items[order])
