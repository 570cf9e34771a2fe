"""Interactions on the device: sorted, in blocks, with what an epoch draws besides.

A block is a range of users and a range of items, as of deterministic ratings. Negatives are drawn
within it, in proportion: so blocks that share no range share no row (``ffi/core/interactions``).
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final, NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import count_each, gather, sort_by
from mascot_jax.engine.layout import MOST_PLACES, MOST_RANGES, divided, in_strata
from mascot_jax.engine.padding import LEAST_ROWS, pad, places
from mascot_jax.engine.ratings import Negatives, Ratings
from mascot_jax.errors import DataError
from mascot_jax.settings import TrainPlan

LARGEST_WEIGHT: Final = 1 << 20
"""Of an item in draws. A power of a count is rounded to whole parts of the largest."""
MOST_EXTRA: Final = 2.0
"""Draws are so many times more, at most, to make up for those of items that a user has met."""


class Draws(NamedTuple):
    """What is drawn in an epoch, on the host."""

    by_user: NDArray[np.float32]
    """``(users,)``: draws, on average, those that are dropped included."""
    item_weights: NDArray[np.uint32]
    """``(items,)``."""


RowPairs = tuple[NDArray[np.uint32], NDArray[np.uint32]]
"""Rows of users and of items, ``(n,)`` each."""


def draws_of(
    ratings: Ratings, plan: TrainPlan, warm_items: int, met_before: RowPairs | None = None
) -> Draws:
    """Return the draws for interactions, which are without duplicates.

    Items from row ``warm_items`` on are never drawn. Draws of pairs that were met before are
    dropped as well.
    """
    assert plan.negatives is not None
    assert plan.negative_power is not None
    users, items, _ = ratings.host()
    counts = count_each(items, ratings.item_count)
    weights = item_weights(counts, plan.negative_power, warm_items)
    total = float(weights.sum(dtype=np.float64))
    met = np.bincount(users, weights=weights[items], minlength=ratings.user_count)
    if met_before is not None:
        others = weights[met_before[1]]
        met += np.bincount(met_before[0], weights=others, minlength=ratings.user_count)
    by_user = user_draws(count_each(users, ratings.user_count), plan.negatives)
    return Draws((by_user * make_up(met, total)).astype(np.float32), weights)


def make_up(met: NDArray[Any], total: float) -> NDArray[np.float64]:
    """Return the factor by which a user draws more, as draws of what it has met are dropped.

    ``met`` is the weight of the items that each user has met, ``(users,)``, and ``total`` of all.
    """
    left: NDArray[np.float64] = np.maximum(total - met, total / MOST_EXTRA)
    return total / left


def user_draws(
    counts: NDArray[np.int64], negatives: float, trained: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Return the negatives of users with so many interactions ``(users,)``, without ``make_up``.

    In all there are ``negatives`` times as many as interactions; a user's share goes by the fourth
    root of its own (docs/interactions.md). ``trained`` are the counts of the training whose shares
    these are; None: the same.
    """
    trained = counts if trained is None else trained
    all_roots = float(np.sqrt(np.sqrt(trained)).sum())
    share: NDArray[np.float64] = (
        negatives * float(trained.sum()) / max(all_roots, 1.0) * np.sqrt(np.sqrt(counts))
    )
    return share


def item_draws(counts: NDArray[np.int64], power: float, most: int) -> NDArray[np.float64]:
    """Return how often items with so many interactions are drawn, ``(items,)``.

    An item with the largest number ``most`` counts 1, and one without any, 0.
    """
    return np.where(counts > 0, (counts / most) ** power, 0.0)


def item_weights(counts: NDArray[np.int64], power: float, warm: int) -> NDArray[np.uint32]:
    """Return the same in whole numbers, uint32 ``(items,)``; the first ``warm`` are all drawn."""
    weights = np.zeros(len(counts), dtype=np.uint32)
    shares = item_draws(np.maximum(counts[:warm], 1), power, max(int(counts.max(initial=1)), 1))
    scale = 1 if power == 0 else LARGEST_WEIGHT
    weights[:warm] = np.maximum(np.rint(scale * shares), 1)
    return weights


def lay_out_interactions(
    ratings: Ratings,
    plan: TrainPlan,
    user_starts: NDArray[np.uint32],
    item_starts: NDArray[np.uint32],
    warm_items: int,
    threads: int,
    met_before: RowPairs | None = None,
) -> Ratings:
    """Return interactions on the device, in blocks, with their negatives.

    Parameters
    ----------
    ratings
        Interactions, in any order, without duplicates; their values are weights.
    plan, user_starts, item_starts, threads
        As for ``layout.lay_out``. The order ``group-blocks`` makes blocks of groups; others, of
        ranges that an epoch visits about equally often.
    warm_items
        Items from this row on are never drawn.
    met_before
        Other pairs, without duplicates, that are no negatives either. They are laid out with a
        weight of 0: an epoch does not visit them.

    Raises
    ------
    DataError
        If there are too many interactions to lay out.
    """
    count = len(ratings) + (0 if met_before is None else len(met_before[0]))
    if count > MOST_PLACES:
        raise DataError(f"{count} interactions: there are {MOST_PLACES} places at most")
    draws = draws_of(ratings, plan, warm_items, met_before)
    if plan.order == "group-blocks":
        starts = user_starts.astype(np.int64), item_starts.astype(np.int64)
    else:
        starts = _ranges(ratings, draws)
    if met_before is not None:
        ratings = _with_pairs(ratings, met_before)
    laid_out = in_strata(_sorted(ratings), plan, starts, threads, longest_run=0)
    return dataclasses.replace(laid_out, negatives=_on_device(draws, plan, ratings.platform))


def _with_pairs(ratings: Ratings, pairs: RowPairs) -> Ratings:
    """Return interactions and, with a weight of 0, pairs."""
    users, items, values = ratings.host()
    return dataclasses.replace(
        ratings,
        users=np.append(users, pairs[0]),
        items=np.append(items, pairs[1]),
        ratings=np.append(values, np.zeros(len(pairs[0]), dtype=np.float32)),
    )


def _sorted(ratings: Ratings) -> Ratings:
    users, items, values = ratings.host()
    order = sort_by(users, items)
    return dataclasses.replace(
        ratings,
        users=gather(users, order),
        items=gather(items, order),
        ratings=gather(values, order),
    )


def _ranges(ratings: Ratings, draws: Draws) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    users, items, _ = ratings.host()
    weights = draws.item_weights.astype(np.float64)
    per_weight = float(draws.by_user.sum(dtype=np.float64)) / max(float(weights.sum()), 1.0)
    visits = (
        count_each(users, ratings.user_count) + draws.by_user.astype(np.int64),
        count_each(items, ratings.item_count) + (per_weight * weights).astype(np.int64),
    )
    return divided(visits[0], MOST_RANGES), divided(visits[1], MOST_RANGES)


def _on_device(draws: Draws, plan: TrainPlan, platform: str) -> Negatives:
    assert plan.loss is not None
    assert plan.negative_weight is not None
    users, items = (
        jnp.asarray(pad(side, places(len(side), LEAST_ROWS, platform))) for side in draws
    )
    weight = jnp.array([plan.negative_weight], dtype=jnp.float32)
    return Negatives(users, items, weight, plan.loss)
