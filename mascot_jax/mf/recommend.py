"""Recommend items to users of a model, or users for items, by index."""

from __future__ import annotations

import math
from typing import Any, Final, Literal, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.frames import to_frame
from mascot_jax.errors import DataError
from mascot_jax.mf.model import Model, ModelSide
from mascot_jax.ranking.pairs import Pairs
from mascot_jax.ranking.similar import Directions
from mascot_jax.ranking.top_n import Items, TopN, check_wanted

SideName = Literal["users", "items"]

USERS_AT_A_TIME: Final = 8192
"""Limits the memory of decoded rows and of the items that their users have seen."""


class Recommendations(NamedTuple):
    """Items recommended to users, one per entry: users in the order asked for, best items first.

    ``to_frame`` makes a table of this long form.
    """

    users: NDArray[Any]
    """``(entries,)``: user ids."""
    items: NDArray[Any]
    """``(entries,)``: item ids."""
    scores: NDArray[np.float32]
    """``(entries,)``: predicted ratings."""
    ranks: NDArray[np.int64]
    """``(entries,)``: from 1."""

    def to_frame(self, library: str = "pandas") -> Any:
        """Return a data frame of ``user``, ``rank``, ``item`` and ``score``.

        ``library`` is ``pandas``, ``polars``, ``pyarrow`` or another that narwhals supports.
        """
        columns = {"user": self.users, "rank": self.ranks, "item": self.items}
        return to_frame({**columns, "score": self.scores}, library)


class Neighbours(NamedTuple):
    """Similar items of items, or users of users, in the long form of ``Recommendations``."""

    ids: NDArray[Any]
    """``(entries,)``: ids asked about."""
    neighbours: NDArray[Any]
    """``(entries,)``: ids of the neighbours, the most similar first."""
    scores: NDArray[np.float32]
    """``(entries,)``: cosine similarities of the factors."""
    ranks: NDArray[np.int64]
    """``(entries,)``: from 1."""

    def to_frame(self, library: str = "pandas") -> Any:
        """Return a data frame of ``id``, ``rank``, ``neighbour`` and ``score``.

        ``library`` is as for ``Recommendations.to_frame``.
        """
        columns = {"id": self.ids, "rank": self.ranks, "neighbour": self.neighbours}
        return to_frame({**columns, "score": self.scores}, library)


def ranks_of(found: TopN) -> NDArray[np.int64]:
    """Return the rank of each entry within its query, from 1; a query's entries are adjacent."""
    first = np.flatnonzero(np.append(True, found.queries[1:] != found.queries[:-1]))
    lengths = np.diff(first, append=len(found.queries))
    return np.arange(len(found.queries)) - np.repeat(first, lengths) + 1


class Ranking:
    """One side of a model, decoded once, to be ranked for rows of the other side.

    Rows without training ratings are never ranked.

    Parameters
    ----------
    model
        Model to recommend from.
    side
        Side to recommend.
    """

    def __init__(self, model: Model, side: SideName = "items") -> None:
        ranked: ModelSide = getattr(model, side)
        self.factors = ranked.dense()
        """float32 ``(rows, k)``, by index."""
        self.rule = model.cold_rule
        self.bias: NDArray[np.float32] | None = None
        """float32 ``(rows,)``, by index, in normal units; None if the model has no biases."""
        if model.biases is not None:
            self.bias = getattr(model.biases, side)[ranked.row_of]
        self._most_rated = ranked.order[: ranked.warm_rows]
        self._warm = np.sort(self._most_rated)
        self._laid_out: dict[bool, Items] = {}

    def best(
        self,
        queries: NDArray[np.float32],
        n: int,
        *,
        bias: NDArray[np.float32] | None = None,
        exclude: Pairs | None = None,
        candidates: NDArray[np.uint32] | None = None,
    ) -> TopN:
        """Return the n rows with the highest predictions for factors ``(b, k)``.

        Parameters
        ----------
        queries, n, exclude, candidates
            As for ``top_n``.
        bias
            float32 ``(b,)``: biases of the queries, if the model has biases.
        """
        if candidates is None:
            items = self._items(on_host=jax.default_device.value is None)
        else:
            items = Items(self.factors, self._shared, np.intersect1d(candidates, self._warm))
        found = items.best(self._sign * queries, n, exclude)
        base, scores = np.float32(self.rule.base), self._sign * found.scores
        if bias is not None:
            scores = scores + (base + np.float32(self.rule.bias_share) * bias)[found.queries]
        elif base:
            scores = scores + base
        return found._replace(scores=self.rule.units.rating(scores))

    @property
    def _sign(self) -> np.float32:
        """-1 if the highest ratings are the lowest in normal units."""
        return np.float32(math.copysign(1.0, self.rule.units.scale))

    @property
    def _shared(self) -> NDArray[np.float32] | None:
        """The share of the biases that is added to products, higher for higher ratings."""
        if self.bias is None:
            return None
        return self._sign * np.float32(self.rule.bias_share) * self.bias

    def _items(self, *, on_host: bool) -> Items:
        """All rows that are ranked if there are no candidates, where ``top_n`` searches now."""
        if on_host not in self._laid_out:
            all_warm = len(self._warm) == len(self.factors)
            candidates = None if all_warm else self._warm
            self._laid_out[on_host] = Items(self.factors, self._shared, candidates)
        return self._laid_out[on_host]

    def most_rated(
        self, queries: NDArray[np.int64], n: int, candidates: NDArray[np.uint32] | None
    ) -> TopN:
        """Return the n rows with the most ratings for each query, scored by the cold rule."""
        best = self._most_rated
        if candidates is not None:
            best = best[np.isin(best, candidates)]
        best = best[:n]
        biases = () if self.bias is None else (self.bias[best],)
        scores = self.rule.offset_of(np.ones(len(best), dtype=np.bool_), *biases)
        scores = self.rule.units.rating(scores)
        return TopN(
            np.repeat(queries, len(best)),
            np.tile(best, len(queries)),
            np.tile(scores, len(queries)),
        )


def recommend(
    model: Model,
    items: Ranking,
    users: NDArray[np.int64],
    n: int,
    *,
    exclude_seen: bool,
    candidates: NDArray[np.uint32] | None = None,
) -> TopN:
    """Rank items for users, as ``MatrixFactorization.recommend`` does.

    Parameters
    ----------
    model, items
        A model, and the ranking of its items.
    users
        ``(b,)``: indices; -1 for unknown users.
    n
        Number of items per user, at least 1.
    exclude_seen
        Leave out items that the user has rated.
    candidates
        The only items to rank; None: all.

    Raises
    ------
    DataError
        If ``exclude_seen`` is true and the model has not kept the items that users have rated.
    SettingsError
        If ``n`` is below 1.
    """
    check_wanted(n)
    seen = model.seen if exclude_seen else None
    if exclude_seen and seen is None:
        raise DataError(
            "the model has not kept which items each user has rated: fit it with keep_seen=True, "
            "or recommend with exclude_seen=False"
        )
    rows = model.users.rows_of(users)
    warm = np.flatnonzero(rows < model.users.warm_rows)
    parts = [items.most_rated(np.setdiff1d(np.arange(len(users)), warm), n, candidates)]
    for start in range(0, max(len(warm), 1), USERS_AT_A_TIME):
        part = warm[start : start + USERS_AT_A_TIME]
        found = items.best(
            model.users.dense(users[part]),
            n,
            bias=None if model.biases is None else model.biases.users[rows[part]],
            exclude=None if seen is None else seen.rows(users[part]),
            candidates=candidates,
        )
        parts.append(found._replace(queries=part[found.queries]))
    return joined(parts)


def joined(parts: list[TopN]) -> TopN:
    """Return the entries of all parts, ordered by query; no query may be in two parts."""
    queries = np.concatenate([part.queries for part in parts])
    order = np.argsort(queries, kind="stable")
    return TopN(
        queries[order],
        np.concatenate([part.items for part in parts])[order],
        np.concatenate([part.scores for part in parts])[order],
    )


class Neighbourhood:
    """One side of a model, its rows decoded and scaled once, to be searched.

    Rows without training ratings have no neighbours and are never neighbours.
    """

    def __init__(self, model: Model, side: SideName) -> None:
        rows: ModelSide = getattr(model, side)
        self._warm = np.sort(rows.order[: rows.warm_rows])
        self._factors = rows.dense(self._warm)
        self._directions = Directions(self._factors)

    def nearest(self, indices: NDArray[np.int64], n: int) -> TopN:
        """Return the n most similar rows, as ``MatrixFactorization.similar_items`` does.

        ``indices`` is int64 ``(b,)``, -1 for unknown ids.
        """
        asked = np.flatnonzero(np.isin(indices, self._warm))
        place = np.searchsorted(self._warm, indices[asked]).astype(np.uint32)
        found = self._directions.nearest(self._factors[place], n, exclude_self=place)
        return TopN(asked[found.queries], self._warm[found.items], found.scores)
