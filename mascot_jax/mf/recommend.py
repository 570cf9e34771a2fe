"""Recommend items to users of a model, or users for items, by index."""

from __future__ import annotations

import math
from typing import Any, Final, Literal, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts
from mascot_jax.base.frames import to_frame
from mascot_jax.errors import DataError
from mascot_jax.mf.list_options import PLAIN, ListOptions
from mascot_jax.mf.model import Model, ModelSide
from mascot_jax.ranking.diversity import diversify, pool_size
from mascot_jax.ranking.pairs import Pairs
from mascot_jax.ranking.top_n import SCORES_AT_A_TIME, Items, TopN, check_wanted

SideName = Literal["users", "items"]

USERS_AT_A_TIME: Final = 8192
"""Limits the memory of decoded rows and of the items that their users have seen."""
HIGHEST_PRIOR: Final = 1e30
"""Of popularity, so that scores stay finite."""


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
        self._side = side
        self.counts = None if ranked.counts is None else ranked.rating_counts
        """int64 ``(rows,)``: training ratings, by index; None in files before version 3."""
        self.by_ratings = ranked.order[: ranked.warm_rows]
        """uint32: rows with a training rating, by index, those with the most ratings first."""
        self._warm = np.sort(self.by_ratings)
        self._laid_out: dict[bool, Items] = {}
        self._last: tuple[tuple[bool, int, float], Items] | None = None

    def best(
        self,
        queries: NDArray[np.float32],
        n: int,
        *,
        bias: NDArray[np.float32] | None = None,
        exclude: Pairs | None = None,
        candidates: NDArray[np.uint32] | None = None,
        options: ListOptions = PLAIN,
    ) -> TopN:
        """Return the n best rows for factors ``(b, k)``, scored by their predictions.

        Parameters
        ----------
        queries, n, exclude, candidates
            As for ``top_n``.
        bias
            float32 ``(b,)``: biases of the queries, if the model has biases.
        options
            What decides the order besides the predictions.
        """
        items = self._items(candidates, options)
        wanted = pool_size(n) if options.diversity else n
        found = items.best(self._sign * queries, wanted, exclude)
        if options.diversity:
            found = diversify(found, self.factors, n, options.diversity)
        scores = self._products(queries, found) if options.popularity else self._sign * found.scores
        base = np.float32(self.rule.base)
        if bias is not None:
            scores = scores + (base + np.float32(self.rule.bias_share) * bias)[found.queries]
        elif base:
            scores = scores + base
        return found._replace(scores=self.rule.units.rating(scores))

    def worth(
        self, predictions: NDArray[np.float32], rows: NDArray[np.int64], options: ListOptions
    ) -> NDArray[np.float32]:
        """Return what decides the order of rows ``(n,)`` with these predictions ``(n,)``."""
        if not options.popularity:
            return predictions
        prior = options.popularity * self._doublings(rows)
        return (predictions + prior).astype(np.float32)

    def ranked(self, options: ListOptions) -> NDArray[np.uint32]:
        """Return the rows that can be ranked, by index, ascending."""
        return self._with_ratings(self._warm, options)

    def _products(self, queries: NDArray[np.float32], found: TopN) -> NDArray[np.float32]:
        """Return products with shared biases of what was found with other scores."""
        products = np.empty(len(found.items), dtype=np.float32)
        for part in parts(len(products), SCORES_AT_A_TIME // max(queries.shape[1], 1)):
            pair = queries[found.queries[part]], self.factors[found.items[part]]
            products[part] = np.einsum("nk,nk->n", *pair)
        if self.bias is None:
            return products
        return products + np.float32(self.rule.bias_share) * self.bias[found.items]

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

    def _items(self, candidates: NDArray[np.uint32] | None, options: ListOptions) -> Items:
        """Return the rows to rank, where ``top_n`` searches now; those of the last call are kept.

        Those without options and candidates are kept for good.
        """
        on_host = jax.default_device.value is None
        if candidates is not None:
            return self._lay_out(np.intersect1d(candidates, self._warm), options)
        if not options.needs_counts:
            if on_host not in self._laid_out:
                self._laid_out[on_host] = self._lay_out(self._warm, options)
            return self._laid_out[on_host]
        key = on_host, options.min_ratings, options.popularity
        last = self._last
        if last is None or last[0] != key:
            self._last = last = key, self._lay_out(self._warm, options)
        return last[1]

    def _lay_out(self, chosen: NDArray[np.uint32], options: ListOptions) -> Items:
        """Lay out the rows at ascending indices that have enough ratings."""
        chosen = self._with_ratings(chosen, options)
        offset = self._shared
        if options.popularity:
            prior = self._prior(options.popularity, np.arange(len(self.factors)))
            offset = prior if offset is None else offset + prior
        everything = len(chosen) == len(self.factors)
        return Items(self.factors, offset, None if everything else chosen)

    def _with_ratings(self, rows: NDArray[np.uint32], options: ListOptions) -> NDArray[np.uint32]:
        """Return those of some rows that have ``min_ratings``."""
        if options.min_ratings <= 1:
            return rows
        enough: NDArray[np.bool_] = self._known_counts()[rows] >= options.min_ratings
        return rows[enough]

    def _prior(self, popularity: float, rows: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Return what is added to the scores of some rows, in normal units, for popularity."""
        prior = popularity / abs(self.rule.units.scale) * self._doublings(rows)
        return prior.clip(-HIGHEST_PRIOR, HIGHEST_PRIOR).astype(np.float32)

    def _doublings(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        doublings: NDArray[np.float64] = np.log2(np.maximum(self._known_counts()[rows], 1))
        return doublings

    def _known_counts(self) -> NDArray[np.int64]:
        if self.counts is None:
            raise DataError(
                f"the model does not know how many ratings its {self._side} have, as its file is "
                "of an older version: train it anew, or leave min_ratings and popularity out"
            )
        return self.counts

    def most_rated(
        self,
        queries: NDArray[np.int64],
        n: int,
        candidates: NDArray[np.uint32] | None,
        options: ListOptions = PLAIN,
    ) -> TopN:
        """Return the n rows with the most ratings for each query, scored by the cold rule."""
        best = self._with_ratings(self.by_ratings, options)
        if candidates is not None:
            best = best[np.isin(best, candidates)]
        best = self._diverse(best, n, options.diversity) if options.diversity else best[:n]
        biases = () if self.bias is None else (self.bias[best],)
        scores = self.rule.offset_of(np.ones(len(best), dtype=np.bool_), *biases)
        scores = self.rule.units.rating(scores)
        return TopN(
            np.repeat(queries, len(best)),
            np.tile(best, len(queries)),
            np.tile(scores, len(queries)),
        )

    def _diverse(self, best: NDArray[np.uint32], n: int, diversity: float) -> NDArray[np.uint32]:
        """Choose n of the most-rated rows that are unlike each other."""
        pool = best[: pool_size(n)]
        worth = -np.log2(np.arange(1, len(pool) + 1)).astype(np.float32)  # by Zipf's law
        one = TopN(np.zeros(len(pool), dtype=np.int64), pool, worth)
        return diversify(one, self.factors, n, diversity).items


def recommend(
    model: Model,
    items: Ranking,
    users: NDArray[np.int64],
    n: int,
    *,
    exclude_seen: bool,
    candidates: NDArray[np.uint32] | None = None,
    options: ListOptions = PLAIN,
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
    options
        What decides the order besides the predictions.

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
    cold = np.setdiff1d(np.arange(len(users)), warm)
    found = [items.most_rated(cold, n, candidates, options)]
    for start in range(0, max(len(warm), 1), USERS_AT_A_TIME):
        part = warm[start : start + USERS_AT_A_TIME]
        best = items.best(
            model.users.dense(users[part]),
            n,
            bias=None if model.biases is None else model.biases.users[rows[part]],
            exclude=None if seen is None else seen.rows(users[part]),
            candidates=candidates,
            options=options,
        )
        found.append(best._replace(queries=part[best.queries]))
    return joined(found)


def joined(lists: list[TopN]) -> TopN:
    """Return the entries of all parts, ordered by query; no query may be in two parts."""
    queries = np.concatenate([part.queries for part in lists])
    order = np.argsort(queries, kind="stable")
    return TopN(
        queries[order],
        np.concatenate([part.items for part in lists])[order],
        np.concatenate([part.scores for part in lists])[order],
    )
