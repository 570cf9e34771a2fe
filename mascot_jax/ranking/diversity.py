"""Lists of items that are good and unlike each other: maximal marginal relevance.

Carbonell and Goldstein, "The use of MMR", SIGIR 1998.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mascot_jax.ranking.similar import unit_rows
from mascot_jax.ranking.top_n import TopN

POOL: Final = 300
"""Best items that a list is chosen from, or twice its length if that is more."""
COMPONENTS_AT_A_TIME: Final = 1 << 22
"""Limits the memory of the pools' rows: 16 MiB."""


def pool_size(n: int) -> int:
    """Return how many of the best items a list of n is chosen from."""
    return max(POOL, 2 * n)


def diversify(pool: TopN, factors: NDArray[np.float32], n: int, diversity: float) -> TopN:
    """Choose n entries of each query's pool, one after the other, by maximal marginal relevance.

    The next one has the highest ``(1 - diversity) * relevance - diversity * cosine``: its score,
    from 0 for the worst to 1 for the best in the pool, and its largest cosine with those chosen
    before. The best is the first; of equal ones, the better in the pool comes first.

    Parameters
    ----------
    pool
        The best items of each query, best first.
    factors
        float32 ``(rows, k)``, by index.
    n
        Entries wanted of each query; fewer if its pool has fewer.
    diversity
        From 0, the order of the pool, to 1, which is unlikeness alone.

    Returns
    -------
    TopN
        Entries of the pool, those of a query in the order of choice.
    """
    queries, first, sizes = np.unique(pool.queries, return_index=True, return_counts=True)
    longest = int(sizes.max(initial=0))
    step = max(COMPONENTS_AT_A_TIME // max(longest * factors.shape[1], 1), 1)
    chosen = [np.empty(0, dtype=np.int64)]
    for start in range(0, len(queries), step):
        part = slice(start, start + step)
        places = np.arange(int(sizes[part].max()))
        there = places < sizes[part, None]
        entries = np.where(there, first[part, None] + places, 0)
        rows = unit_rows(factors[pool.items[entries].reshape(-1)]).reshape(*entries.shape, -1)
        order = _order(_relevance(pool.scores[entries], there), rows, n, diversity)
        kept = np.arange(order.shape[1]) < sizes[part, None]
        chosen.append(np.take_along_axis(entries, order, axis=1)[kept])
    picked = np.concatenate(chosen)
    return TopN(pool.queries[picked], pool.items[picked], pool.scores[picked])


def _relevance(scores: NDArray[np.float32], there: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return scores ``(b, m)``, best first, from 1 down to 0; minus infinity where none is."""
    best = scores[:, :1]
    worst = np.where(there, scores, np.float32(np.inf)).min(axis=1, keepdims=True)
    span = np.where(best > worst, best - worst, np.float32(1))
    return np.where(there, (scores - worst) / span, np.float32(-np.inf))


def _order(
    relevance: NDArray[np.float32], rows: NDArray[np.float32], n: int, diversity: float
) -> NDArray[np.int64]:
    """Return the places chosen, int64 ``(b, min(n, m))``; those without an item come last.

    ``relevance`` is ``(b, m)``, ``rows`` ``(b, m, k)``, of length 1.
    """
    size, most = relevance.shape
    open_ = ~np.isneginf(relevance)
    worth = np.where(open_, np.float32(1 - diversity) * np.maximum(relevance, 0), -np.inf)
    nearest = np.full_like(relevance, -1)
    order = np.zeros((size, min(n, most)), dtype=np.int64)  # the best comes first
    queries = np.arange(size)
    for rank in range(1, order.shape[1]):
        last = order[:, rank - 1]
        worth[queries, last] = -np.inf
        # Not by a BLAS: a product is too small for its threads (see host.FEW).
        np.maximum(nearest, np.einsum("bmk,bk->bm", rows, rows[queries, last]), out=nearest)
        order[:, rank] = (worth - np.float32(diversity) * nearest).argmax(axis=1)
    return order
