"""Mean rating and user and item biases: the part of a rating that needs no factors."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts

Ids = NDArray[np.uint32]
Floats = NDArray[np.float64]

SWEEPS: Final = 6
"""From the fourth sweep on, the error on generated ratings changes only in its sixth digit."""

DAMPING: Final = 5.0
"""Ratings of bias 0 that are added to each row, to keep the biases of rare rows small.

The best of 0, 2, 5, 10 and 25 on held-out training ratings (docs/recipes.md).
"""


class Biases(NamedTuple):
    """User and item biases, added to the mean rating; 0 for rows without training ratings.

    float32 ``(user rows,)`` and ``(item rows,)``, in stars.
    """

    users: NDArray[np.float32]
    items: NDArray[np.float32]


def fit_biases(
    users: Ids,
    items: Ids,
    ratings: NDArray[np.float32],
    user_count: int,
    item_count: int,
    *,
    mean: float,
    damping: float = DAMPING,
    known: Biases | None = None,
) -> tuple[Floats, Floats]:
    """Fit ``mean + user bias + item bias`` by alternating damped least squares.

    Sums add one rating at a time, so every machine gives the same bits.

    Parameters
    ----------
    users, items
        uint32 ``(n,)``: user and item of each rating, below ``user_count`` and ``item_count``.
    ratings
        float32 ``(n,)``.
    user_count, item_count
        Number of users and of items.
    mean
        Mean of the ratings.
    damping
        A row's bias is the sum of its residuals / (number of its ratings + damping).
    known
        Biases to keep; NaN marks biases to fit. None fits all.

    Returns
    -------
    user biases, item biases
        float64 ``(user_count,)`` and ``(item_count,)``; 0 for a row without ratings.
    """
    if known is None:
        known = Biases(*(np.full(n, np.nan, np.float32) for n in (user_count, item_count)))
    fixed = tuple(~np.isnan(bias) for bias in known)
    user_bias, item_bias = (np.nan_to_num(bias).astype(np.float64) for bias in known)
    for _ in range(SWEEPS):
        fitted = _fit_side(users, items, ratings, mean, item_bias, user_count, damping)
        user_bias = np.where(fixed[0], user_bias, fitted)
        fitted = _fit_side(items, users, ratings, mean, user_bias, item_count, damping)
        item_bias = np.where(fixed[1], item_bias, fitted)
    return user_bias, item_bias


def _fit_side(
    own: Ids,
    other: Ids,
    ratings: NDArray[np.float32],
    mean: float,
    other_bias: Floats,
    count: int,
    damping: float,
) -> Floats:
    """Return the damped mean residual of each row of one side, given the other side's biases."""
    sums, counts = np.zeros(count), np.zeros(count, dtype=np.int64)
    for part in parts(ratings.size):
        remainder = ratings[part] - mean - other_bias[other[part]]
        index = own[part].astype(np.intp)
        sums += np.bincount(index, weights=remainder, minlength=count)
        counts += np.bincount(index, minlength=count)
    biases: Floats = sums / np.maximum(counts + damping, 1)
    return biases
