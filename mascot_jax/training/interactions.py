"""Prepare a training from interactions: weights, held-out lists, and a layout with zeros."""

from __future__ import annotations

import dataclasses
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mascot_jax.engine.interactions import lay_out_interactions
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.ratings import Ratings
from mascot_jax.errors import DataError
from mascot_jax.settings import TrainPlan
from mascot_jax.tables.groups import Grouping

LARGEST_CONFIDENCE: Final = 10.0
"""Of an interaction, in units of the mean: a step of a few units more would overshoot."""


def confidences(
    values: NDArray[np.float32], kind: str, mean: float | None = None
) -> tuple[NDArray[np.float32], float]:
    """Return the weights of interactions, float32 ``(n,)``, and the mean that they are units of.

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
        return np.ones(len(values), dtype=np.float32), 1.0
    raw = np.log1p(values.astype(np.float64)) if kind == "log1p" else values.astype(np.float64)
    if mean is None:
        mean = float(raw.mean())
    if not mean:
        raise DataError(
            "the values of all interactions are 0: give each a confidence above 0, or set "
            "train.confidence to equal"
        )
    return np.minimum(raw / mean, LARGEST_CONFIDENCE).astype(np.float32), mean


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


class Weighted(NamedTuple):
    """Interactions laid out on the device, and the mean that their weights are units of."""

    ratings: Ratings
    mean: float


def weighted(
    ratings: Ratings,
    users: Grouping,
    items: Grouping,
    plan: TrainPlan,
    execution: Execution,
    mean: float | None,
) -> Weighted:
    """Return interactions with weights for values, laid out with their zeros.

    Parameters
    ----------
    ratings
        Interactions without duplicates, on the host.
    users, items, plan, execution
        As of ``problem.prepare``.
    mean
        As for ``confidences``.

    Raises
    ------
    DataError
        If a value is negative, or all are 0.
    """
    values = ratings.host()[2]
    check_values(values)
    assert plan.confidence is not None
    weights, mean = confidences(values, plan.confidence, mean)
    own = dataclasses.replace(ratings, ratings=weights)
    starts = users.starts, items.starts
    laid_out = lay_out_interactions(own, plan, *starts, items.warm_rows, execution.threads)
    return Weighted(laid_out, mean)
