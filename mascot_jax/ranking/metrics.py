"""Metrics of recommendation lists, judged by held-out items.

An item is relevant to a query or not. Every metric but the coverage is a mean over the queries with
a relevant item; for a query without one, all lists are equally good. Metrics among sampled items
are means over the relevant items instead.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mascot_jax.errors import DataError, SettingsError
from mascot_jax.ranking.pairs import Pairs
from mascot_jax.ranking.top_n import TopN, check_indices


class RankingMetrics(NamedTuple):
    """Metrics of lists cut after n items, each from 0 to 1; NaN if there is nothing to average.

    A hit is a relevant item in the list; ranks count from 1.
    """

    precision: float
    """Hits / n, even if the list is shorter."""
    recall: float
    """Hits / relevant items."""
    ndcg: float
    """Sum of ``1 / log2(1 + rank)`` over the hits, divided by that of a list that starts with the
    relevant items."""
    hit_rate: float
    """Share of the queries with a hit."""
    reciprocal_rank: float
    """1 / rank of the first hit, 0 without one."""
    coverage: float
    """Share of all items that are in any list, also of queries without relevant items."""
    queries: int
    """Number of queries with a relevant item."""


def ranking_metrics(lists: TopN, relevant: Pairs, n: int, item_count: int) -> RankingMetrics:
    """Compute the metrics of recommendation lists.

    Parameters
    ----------
    lists
        Lists as ``top_n`` returns them: ordered by query, best first, no item twice in a list.
    relevant
        Relevant items of each of b queries; repeated items count once.
    n
        Length to cut lists to, at least 1; a list may be shorter, or missing.
    item_count
        Number of items: item indices are below it, and the coverage is relative to it.

    Raises
    ------
    SettingsError
        ``n`` is below 1.
    DataError
        The lists are not ordered by query.
    IndexError
        An item of a list, a relevant item or a list's query does not exist.
    """
    count = len(relevant.starts) - 1
    _check(lists, relevant, n, item_count)
    ranks = np.arange(len(lists.queries)) - np.searchsorted(lists.queries, lists.queries) + 1
    kept = ranks <= n
    queries, items, ranks = lists.queries[kept], lists.items[kept], ranks[kept]
    owners = np.repeat(np.arange(count), np.diff(relevant.starts))
    wanted = np.unique(_keys(owners, relevant.items, item_count))
    hit = np.isin(_keys(queries, items, item_count), wanted, assume_unique=True)
    hit_queries, hit_ranks = queries[hit], ranks[hit]
    hits = np.bincount(hit_queries, minlength=count)
    sizes = np.bincount(wanted // max(item_count, 1), minlength=count)
    gains = np.bincount(hit_queries, _gain(hit_ranks), minlength=count)
    # A query's hits are ordered by rank, so its first occurrence is its first hit.
    found, first = np.unique(hit_queries, return_index=True)
    reciprocal = np.zeros(count)
    reciprocal[found] = 1 / hit_ranks[first]
    some = sizes > 0
    most = np.minimum(sizes[some], n)
    best = np.cumsum(_gain(np.arange(1, int(most.max(initial=0)) + 1)))
    return RankingMetrics(
        precision=_mean(hits[some] / n),
        recall=_mean(hits[some] / sizes[some]),
        ndcg=_mean(gains[some] / best[most - 1]),
        hit_rate=_mean(hits[some] > 0),
        reciprocal_rank=_mean(reciprocal[some]),
        coverage=len(np.unique(items)) / item_count if item_count else np.nan,
        queries=int(some.sum()),
    )


class SampledMetrics(NamedTuple):
    """Metrics of held-out items, each ranked among sampled ones; NaN if there is nothing to rank.

    A mean over the held-out items, each from 0 to 1, and 0 for a rank beyond n. They flatter: they
    are of a choice of a hundred items, not of all, and can put models in another order than metrics
    of full lists do (Krichene and Rendle, "On sampled metrics for item recommendation", KDD 2020).
    """

    sampled_hit_rate: float
    """Share of ranks up to n: the recall, if there is one held-out item."""
    sampled_ndcg: float
    """``1 / log2(1 + rank)``."""
    sampled_reciprocal_rank: float
    """``1 / rank``."""


def sampled_metrics(
    above: NDArray[np.integer[Any]], ties: NDArray[np.integer[Any]], n: int
) -> SampledMetrics:
    """Compute the metrics of held-out items among sampled ones.

    Of equal scores every order is as likely: a metric is the mean over these orders, so that a
    model that says the same of all items is as good as chance, and not better or worse.

    Parameters
    ----------
    above, ties
        ``(r,)``: for each held-out item, how many sampled items have a higher, and how many an
        equal score.
    n
        Length to cut lists to, at least 1.
    """
    ranks = np.arange(1, n + 1)
    first, last = np.minimum(above, n), np.minimum(above + ties + 1, n)

    def mean(worth: NDArray[np.float64]) -> float:
        up_to = np.append(0, np.cumsum(worth))
        return _mean((up_to[last] - up_to[first]) / (ties + 1))

    return SampledMetrics(mean(np.ones(n)), mean(_gain(ranks)), mean(1 / ranks))


def _keys(
    queries: NDArray[np.int64], items: NDArray[np.uint32], item_count: int
) -> NDArray[np.int64]:
    """Return a unique number for each (query, item) pair, int64 ``(n,)``."""
    return queries.astype(np.int64) * item_count + items.astype(np.int64)


def _gain(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the NDCG's gain of a hit at each rank, float64 ``(n,)``."""
    gains: NDArray[np.float64] = 1 / np.log2(1 + ranks)
    return gains


def _mean(values: NDArray[np.float64] | NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _check(lists: TopN, relevant: Pairs, n: int, item_count: int) -> None:
    if n < 1:
        raise SettingsError(f"n is {n}; it must be at least 1")
    if (np.diff(lists.queries) < 0).any():
        raise DataError("the lists are not ordered by query; sort them, best first within one")
    check_indices("lists.queries", lists.queries, len(relevant.starts) - 1)
    check_indices("lists.items", lists.items, item_count)
    check_indices("relevant", relevant.items, item_count)
