"""Warnings of ratings that are hardly ratings: all the same, wild ones, counts."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import smallest, where
from mascot_jax.base.metrics import Baselines
from mascot_jax.base.units import Spread
from mascot_jax.base.warn import warn_caller
from mascot_jax.errors import BaselineWarning, RatingsWarning

_SKEWED: Final = 2.0
"""Ratings whose mean is so many times their median have the spread of counts."""


def warn_of_ratings(values: NDArray[np.float32], spread: Spread | None, *, fresh: bool) -> None:
    """Warn of what the values of ratings show about them.

    Parameters
    ----------
    values
        The ratings ``(n,)``, in their original order.
    spread
        How they lie; None for ratings that are trained as they are, whose wild ones are not known.
    fresh
        Whether they are all the ratings of a model; a few further ones may be all the same.
    """
    advice = []
    if fresh and len(values) > 1 and values.min() == values.max():
        advice.append(
            f"all {len(values)} ratings are {values[0]:g}: such values say who met what, not how "
            f"they liked it, and the model can only predict {values[0]:g}; for lists of what they "
            "may like, train with the objective interactions, or give ratings that differ"
        )
    elif fresh and _as_counts(values):
        advice.append(
            f"ratings go from {values.min():g} to {values.max():g}, half of them up to "
            f"{_median(values):g}: they are spread like counts, and a few high ones decide the "
            "result; for lists of what users may like, train with the objective interactions and "
            "the confidence log1p, or, to predict such values, on numpy.log1p(ratings)"
        )
    elif spread is not None and (rows := _wild(values, spread)).size:
        advice.append(_of_wild(values, rows, spread))
    for text in advice:
        warn_caller(text, RatingsWarning)


def warn_of_confidences(values: NDArray[np.float32]) -> None:
    """Warn if values of interactions ``(n,)`` are counts, of which a few decide the result."""
    if _as_counts(values):
        warn_caller(
            f"values of interactions go from {values.min():g} to {values.max():g}, half of them up "
            f"to {_median(values):g}: as confidences, a few high ones decide the result; set "
            "confidence to log1p",
            RatingsWarning,
        )


def _as_counts(values: NDArray[np.float32]) -> bool:
    """Return whether ratings have no negative values and a long tail of high ones."""
    if values.min() < 0:
        return False
    median = _median(values)
    return float(values.mean(dtype=np.float64)) > _SKEWED * median and median > 0


def _median(values: NDArray[np.float32]) -> float:
    """Return the median, without a copy of the values."""
    low, high = smallest(values, [(len(values) - 1) // 2, len(values) // 2])
    return (low + high) / 2


def _wild(values: NDArray[np.float32], spread: Spread) -> NDArray[np.int64]:
    return where(len(values), lambda part: spread.wild(values[part]))


def _of_wild(values: NDArray[np.float32], wild: NDArray[np.int64], spread: Spread) -> str:
    row, usual = int(wild[0]), f"{spread.low:g} to {spread.high:g}"
    more = f"; there are {len(wild) - 1} more beyond {usual}" if len(wild) > 1 else ""
    return (
        f"the rating in row {row} (counted from 0) is {values[row]:g}, far from the others, and is "
        f"trained as {float(values[row].clip(spread.low, spread.high)):g}{more}: correct or leave "
        "out what is no rating"
    )


def warn_if_worse(rmse: float, count: int, baselines: Baselines) -> None:
    """Warn if a model with this RMSE on so many ratings is worse than no model."""
    better = baselines.better_than(rmse, count)
    if better:
        warn_caller(
            f"the model's RMSE of {rmse:.4g} is worse than that of {' and of '.join(better)}: "
            "check that these ratings are of the same kind as those trained on; else train with "
            "the recipe tuned and without settings of your own",
            BaselineWarning,
        )
