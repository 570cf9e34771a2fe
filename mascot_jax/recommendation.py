"""The best items for users of a model, by index."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mascot_jax.errors import DataError
from mascot_jax.model import Model
from mascot_jax.pairs import Pairs
from mascot_jax.seen import rows_of
from mascot_jax.top_n import TopN, top_n

USERS_AT_A_TIME: Final = 8192
"""Bounds the memory of decoded rows and of what they have seen."""


class Recommender:
    """A model's items, decoded once, ready to be ranked.

    Parameters
    ----------
    model
        What to recommend from.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._items = model.dense_items()
        self._warm = np.sort(model.items.order[: model.items.warm_rows])
        rule = model.cold_rule
        self._mean = np.float32(rule.mean_rating)
        self._user_bias = self._item_bias = None
        if rule.biases is not None:
            self._user_bias = rule.biases.users
            self._item_bias = rule.biases.items[model.items.row_of]

    def for_users(
        self,
        users: NDArray[np.int64],
        n: int,
        *,
        exclude_seen: bool,
        candidates: NDArray[np.uint32] | None = None,
    ) -> TopN:
        """Rank items for users, as ``MatrixFactorization.recommend`` says.

        Parameters
        ----------
        users
            ``(b,)``: indices; -1 for unknown ones.
        n
            Items of each, at least 1.
        exclude_seen
            Leave out what a user has rated.
        candidates
            The only items to rank; None for all.

        Raises
        ------
        DataError
            If the model has not kept what users have rated.
        """
        seen = self._model.seen
        if exclude_seen and seen is None:
            raise DataError(
                "the model has not kept which items each user has rated: fit it with "
                "keep_seen=True, or recommend with exclude_seen=False"
            )
        rows = self._model.users.rows_of(users)
        warm = np.flatnonzero(rows < self._model.users.warm_rows)
        parts = [self._most_rated(np.setdiff1d(np.arange(len(users)), warm), n, candidates)]
        for start in range(0, len(warm), USERS_AT_A_TIME):
            part = warm[start : start + USERS_AT_A_TIME]
            found = self.rank(
                self._model.users.dense(self._model.settings.factors, users[part]),
                n,
                bias=None if self._user_bias is None else self._user_bias[rows[part]],
                exclude=rows_of(seen, users[part]) if exclude_seen and seen else None,
                candidates=candidates,
            )
            parts.append(found._replace(queries=part[found.queries]))
        queries = np.concatenate([part.queries for part in parts])
        order = np.argsort(queries, kind="stable")
        return TopN(
            queries[order],
            np.concatenate([part.items for part in parts])[order],
            np.concatenate([part.scores for part in parts])[order],
        )

    def rank(
        self,
        queries: NDArray[np.float32],
        n: int,
        *,
        bias: NDArray[np.float32] | None = None,
        exclude: Pairs | None = None,
        candidates: NDArray[np.uint32] | None = None,
    ) -> TopN:
        """Rank items that have training ratings for factors ``(b, k)``.

        ``bias`` is ``(b,)``, of the queries, where the model has biases; scores are predictions.
        """
        if candidates is not None or len(self._warm) < len(self._items):
            chosen = self._warm
            candidates = chosen if candidates is None else np.intersect1d(candidates, chosen)
        found = top_n(
            queries,
            self._items,
            n,
            item_offset=self._item_bias,
            exclude=exclude,
            candidates=candidates,
        )
        if self._item_bias is None:
            return found
        offset = self._mean + (np.float32(0) if bias is None else bias[found.queries])
        return found._replace(scores=found.scores + offset)

    def _most_rated(
        self, queries: NDArray[np.int64], n: int, candidates: NDArray[np.uint32] | None
    ) -> TopN:
        """Give every query the items with the most ratings, scored as the cold rule says."""
        best = self._model.items.order[: self._model.items.warm_rows]
        if candidates is not None:
            best = best[np.isin(best, candidates)]
        best = best[:n]
        scores = np.full(len(best), self._mean)
        if self._item_bias is not None:
            scores += self._item_bias[best]
        return TopN(
            np.repeat(queries, len(best)),
            np.tile(best, len(queries)),
            np.tile(scores, len(queries)),
        )
