"""Prepare a training from interactions: weights, held-out lists, and a layout with negatives."""

from __future__ import annotations

import dataclasses
import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import count_each, gather, sort_by
from mascot_jax.engine.interactions import RowPairs, lay_out_interactions
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.ratings import Negatives, Ratings, Triples
from mascot_jax.errors import DataError
from mascot_jax.settings import TrainPlan
from mascot_jax.tables.groups import Grouping
from mascot_jax.training.initial import Heads

GRID: Final = 2.0**-20
"""Logarithms are multiples of it."""
LARGEST_WEIGHT: Final = 10.0
"""Of an interaction; 1 is the mean. Steps of a few units more would overshoot."""


def merged(interactions: Triples) -> Triples:
    """Add up the values of each user and item: a log of plays has a row for each time.

    The result is sorted by user and item, unless no pair is there twice.
    """
    users, items, values = interactions
    order = sort_by(users, items, values.view(np.uint32))
    found = summed(gather(users, order), gather(items, order), gather(values, order))
    return found if len(found[0]) < len(users) else interactions


def summed(
    users: NDArray[np.uint32], items: NDArray[np.uint32], values: NDArray[np.float32]
) -> Triples:
    """Return each pair once, with the sum of its values, of interactions sorted by both."""
    first = np.append(True, (users[1:] != users[:-1]) | (items[1:] != items[:-1]))
    if first.all():
        return users, items, values
    starts = np.flatnonzero(first)
    sums = np.add.reduceat(values.astype(np.float64), starts)
    return users[starts], items[starts], sums.astype(np.float32)


def confidences(
    values: NDArray[np.float32], kind: str, mean: float | None = None
) -> tuple[NDArray[np.float64], float]:
    """Return confidences, float64 ``(n,)`` with a mean of 1, and the mean that they are units of.

    Parameters
    ----------
    values
        float32 ``(n,)``, not below 0.
    kind
        ``train.confidence``.
    mean
        That of an earlier training; None: these interactions' own.

    Raises
    ------
    DataError
        If all values are 0.
    """
    if kind == "equal":
        return np.ones(len(values)), 1.0
    raw = values.astype(np.float64)
    if kind == "log1p":  # whose last bits depend on the machine
        raw = np.rint(np.log1p(raw) / GRID) * GRID
    if mean is None:
        mean = float(raw.mean())
    if not mean:
        raise DataError(
            "the values of all interactions are 0: give each a confidence above 0, or set "
            "train.confidence to equal"
        )
    return raw / mean, mean


def check_values(values: NDArray[np.float32]) -> None:
    """Refuse interactions that count against an item.

    Raises
    ------
    DataError
        If a value is negative.
    """
    bad = np.flatnonzero(values < 0)
    if bad.size:
        raise DataError(
            f"an interaction has the value {values[bad[0]]:g} ({bad.size} are below 0): values are "
            "confidences, 0 or more: leave such rows out, or train with train.objective ratings"
        )


def balance(
    counts: NDArray[np.int64], side: str, trained: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Return what the interactions of rows with so many ``(rows,)`` count, 1 on average.

    Those of busy users and, less so, of popular items count less each: by the power -3/8 of their
    number, or -1/8 (docs/interactions.md). Only roots are taken: every machine has the same bits.
    ``trained`` are the counts of the training that the average is of; None: the same.
    """
    trained = counts if trained is None else trained
    all_counts = float((trained * _share_of_each(trained, side)).sum())
    unit = float(trained.sum()) / max(all_counts, 1e-30)
    return _share_of_each(counts, side) * unit


def _share_of_each(counts: NDArray[np.int64], side: str) -> NDArray[np.float64]:
    most = np.maximum(counts, 1).astype(np.float64)
    eighth = np.sqrt(np.sqrt(np.sqrt(most)))
    share: NDArray[np.float64] = 1 / (
        eighth * np.sqrt(np.sqrt(most)) if side == "users" else eighth
    )
    return share


class Weighted(NamedTuple):
    """Interactions laid out on the device, with what a training begins from."""

    ratings: Ratings
    mean: float
    """That confidences are units of."""
    heads: Heads | None
    """That rows of a new training begin with; None: with none."""


def weighted(
    ratings: Ratings,
    users: Grouping,
    items: Grouping,
    plan: TrainPlan,
    execution: Execution,
    mean: float | None,
    met_before: RowPairs | None = None,
) -> Weighted:
    """Return interactions with weights for values, laid out with their negatives.

    Parameters
    ----------
    ratings
        Interactions without duplicates, on the host.
    users, items, plan, execution
        As of ``problem.prepare``.
    mean
        As for ``confidences``.
    met_before
        As for ``lay_out_interactions``.

    Raises
    ------
    DataError
        If a value is negative, or all are 0.
    """
    rows, columns, values = ratings.host()
    check_values(values)
    assert plan.confidence is not None
    begins_anew = mean is None
    confidence, mean = confidences(values, plan.confidence, mean)
    of_user = balance(count_each(rows, ratings.user_count), "users")
    of_item = balance(count_each(columns, ratings.item_count), "items")
    own = dataclasses.replace(
        ratings, ratings=limited(confidence * of_user[rows] * of_item[columns])
    )
    laid_out = lay_out_interactions(
        own, plan, users.starts, items.starts, items.warm_rows, execution.threads, met_before
    )
    assert laid_out.negatives is not None
    has_heads = begins_anew and plan.loss == "squared"
    heads = popular(own, laid_out.negatives, plan.factors) if has_heads else None
    return Weighted(laid_out, mean, heads)


def popular(interactions: Ratings, negatives: Negatives, factors: int) -> Heads:
    """Return heads whose products are the best scores of items that are the same for all users.

    Such a score is the mean target of an item's visits in an epoch, weighted, its negatives in
    expectation. It ranks items by how popular they are: rows of which little is known stay there.

    Parameters
    ----------
    interactions
        With weights for values, on the host.
    negatives
        What an epoch draws beside them.
    factors
        Components of a row.
    """
    users, items, weights = interactions.host()
    count = interactions.item_count
    draws = np.asarray(negatives.user_draws)[: interactions.user_count].astype(np.float64)
    shares = np.asarray(negatives.item_weights)[:count].astype(np.float64)
    shares *= float(negatives.weight[0]) / max(float(shares.sum()), 1.0)
    dropped = np.bincount(items, draws[users], count)
    missed = shares * np.maximum(draws.sum() - dropped, 0)  # below 0 by rounding
    met = np.bincount(items, weights, count)
    visits = met + missed
    scores = met / np.where(visits > 0, visits, 1)
    # Both sides have the same squares, summed over all visits, as regularised factors do.
    size = np.sqrt(np.sqrt((visits * scores * scores).sum() / max(float(visits.sum()), 1e-30)))
    root = math.sqrt(factors)
    of_items = scores / (max(float(size), 1e-30) * root)
    of_users = np.full(interactions.user_count, size / root)
    return Heads(of_users.astype(np.float32), of_items.astype(np.float32))


def limited(weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return weights of interactions as the kernel takes them."""
    return np.minimum(weights, LARGEST_WEIGHT).astype(np.float32)
