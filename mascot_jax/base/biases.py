"""Mean rating and user and item biases: the part of a rating that needs no factors."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import count_each, parts

Ids = NDArray[np.uint32]
Floats = NDArray[np.float64]

SWEEPS: Final = 6
"""From the fourth sweep on, the error on generated ratings changes only in its sixth digit."""

CHOOSING: Final = 3
"""Sweeps that choose the damping; later ones would change it by a step at most."""

DAMPING: Final = 5.0
"""Ratings of bias 0 that are added to each row, to keep the biases of rare rows small.

The best of 0, 2, 5, 10 and 25 on held-out training ratings (docs/recipes.md).
"""
DAMPINGS: Final = (
    *(0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.5, 10.0, 12.0),
    *(14.0, 17.0, 20.0, 24.0, 28.0, 34.0, 40.0, 60.0, 80.0, 160.0, 320.0, 640.0),
)
"""Dampings to choose from."""
DOUBT: Final = 0.2
"""Without a rating to go by, the logarithm of a damping is ``DAMPING``'s, give or take this."""


class Biases(NamedTuple):
    """User and item biases, added to the mean rating; 0 for rows without training ratings.

    float32 ``(user rows,)`` and ``(item rows,)``, in the units of the ratings they are fitted to.
    """

    users: NDArray[np.float32]
    items: NDArray[np.float32]


class Damping(NamedTuple):
    """Ratings of bias 0 that are added to each user and to each item."""

    users: float = DAMPING
    items: float = DAMPING


DEFAULT_DAMPING: Final = Damping()


def fit_biases(
    users: Ids,
    items: Ids,
    ratings: NDArray[np.float32],
    user_count: int,
    item_count: int,
    *,
    mean: float,
    damping: float | Damping = DAMPING,
    known: Biases | None = None,
    sweeps: int = SWEEPS,
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
        A row's bias is the sum of its residuals / (number of its ratings + damping); one number
        for both sides, or one for each.
    known
        Biases to keep; NaN marks biases to fit. None fits all.
    sweeps
        Fits of each side.

    Returns
    -------
    user biases, item biases
        float64 ``(user_count,)`` and ``(item_count,)``; 0 for a row without ratings.
    """
    if known is None:
        known = Biases(*(np.full(n, np.nan, np.float32) for n in (user_count, item_count)))
    if not isinstance(damping, Damping):
        damping = Damping(damping, damping)
    fixed = tuple(~np.isnan(bias) for bias in known)
    user_bias, item_bias = (np.nan_to_num(bias).astype(np.float64) for bias in known)
    for _ in range(sweeps):
        fitted = _fit_side(users, items, ratings, mean, item_bias, user_count, damping.users)
        user_bias = np.where(fixed[0], user_bias, fitted)
        fitted = _fit_side(items, users, ratings, mean, user_bias, item_count, damping.items)
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


class _Fit(NamedTuple):
    """One side's biases while the damping is chosen, for ``rows`` ``(n,)`` of the ratings."""

    rows: Ids
    counts: Floats
    """Ratings of each row."""
    bias: Floats
    sums: Floats
    """Sum of each row's residuals, from which ``bias`` was made."""
    damping: float

    def without(self, part: slice, residuals: Floats) -> Floats:
        """Return each rating's bias as fitted without this rating, given its residual."""
        rows = self.rows[part]
        return (self.sums[rows] - residuals) / (self.counts[rows] - 1 + self.damping)


def choose_damping(
    users: Ids,
    items: Ids,
    ratings: NDArray[np.float32],
    user_count: int,
    item_count: int,
    *,
    mean: float,
) -> Damping:
    """Choose each side's damping from ``DAMPINGS``: the one that predicts left-out ratings best.

    Every rating is predicted by biases fitted without it. For a damped mean this takes no second
    fit: leaving out the residual e of a row with n ratings and sum S gives (S - e) / (n - 1 +
    damping).

    Parameters are those of ``fit_biases``.
    """
    sides = [
        _Fit(rows, count_each(rows, count).astype(np.float64), zeros, zeros, DAMPINGS[-1])
        for rows, count in ((users, user_count), (items, item_count))
        for zeros in (np.zeros(count),)
    ]
    for _ in range(CHOOSING):
        sides[1] = _choose(sides[1], sides[0], ratings, mean)
        sides[0] = _choose(sides[0], sides[1], ratings, mean)
    return Damping(sides[0].damping, sides[1].damping)


def _choose(own: _Fit, other: _Fit, ratings: NDArray[np.float32], mean: float) -> _Fit:
    """Fit one side's biases, given the other's, with the best damping."""
    count = len(own.counts)
    sums, left_out, squares = np.zeros(count), np.zeros(count), np.zeros(count)
    for part in parts(ratings.size):
        rows = own.rows[part].astype(np.intp)
        residuals = ratings[part] - mean
        # Not what the other side has learned from this very rating.
        honest = residuals - other.without(part, residuals - own.bias[rows])
        sums += np.bincount(rows, residuals - other.bias[other.rows[part]], count)
        left_out += np.bincount(rows, honest, count)
        squares += np.bincount(rows, honest * honest, count)
    errors = [
        _left_out_error(own.counts, left_out, squares, damping)
        * (1 + _doubt(damping, ratings.size))
        for damping in DAMPINGS
    ]
    damping = DAMPINGS[int(np.argmin(errors))]
    return own._replace(bias=sums / (own.counts + damping), sums=sums, damping=damping)


def _left_out_error(counts: Floats, sums: Floats, squares: Floats, damping: float) -> float:
    """Return the squared error of predicting each of a row's residuals by the others' damped mean.

    With g = 1 / (n - 1 + damping), the error of residual e is (1 + g) e - g S.
    """
    g = 1 / np.maximum(counts - 1 + damping, DAMPINGS[0])
    errors = (1 + g) ** 2 * squares + (counts * g - 2 * (1 + g)) * g * sums**2
    return float(errors.sum())


def _doubt(damping: float, ratings: int) -> float:
    """Return by how much more squared error, relative, a damping counts as worse than another.

    It is the prior's part in the posterior of normal errors, which few ratings alone do not settle.
    The prior has long tails: ratings that say otherwise are soon believed.
    """
    distance = np.log(damping / DAMPING) / DOUBT
    return float(2 * np.log1p(distance**2 / 2) / ratings)
