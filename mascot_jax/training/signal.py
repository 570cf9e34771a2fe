"""How much factors can explain of ratings, estimated before any are trained.

If factors explain anything, the residuals of two items, after biases, vary together over the users
who rated both. The mean squared covariance over pairs of items, in units of the variance, measures
that: 0.007 for MovieLens 1M, 0.008 for 100K, 0.02 for dense ratings of jokes, 0.2 where little is
noise, below 0.0005 for noise alone. Squares of one estimate would be above 0 by chance; the product
of two, from halves of the users, is not.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import where
from mascot_jax.base.biases import fit_biases
from mascot_jax.base.units import measure_spread
from mascot_jax.engine.ratings import Triples

USERS: Final = 600
"""Most-rating users to look at, and most-rated items: enough, and a matter of milliseconds."""
ITEMS: Final = 200
SWEEPS: Final = 2
"""Of the biases: what remains of them makes no difference."""
EXPECTED: Final = (0.0075, 0.005)
"""Mean squared covariance of ratings of unknown kind, and its deviation: where few users rated both
of two items, little more is known."""
USUAL: Final = (0.06, 0.17)
"""Root mean square covariances at which ratings are as noisy as most."""
MOST_NOISE: Final = 4.5
LEAST_NOISE: Final = 0.3


def noise_of(ratings: Triples) -> float:
    """Return how noisy ratings, by row, are: 1 as usual, more if factors explain less of them.

    Rows are in the order of the number of ratings, as groups are.
    """
    covariance = math.sqrt(max(_squared_covariance(ratings), 1e-9))
    low, high = USUAL
    noise = max(low / covariance, 1.0) if covariance < high else high / covariance
    # Few digits: the last ones depend on the machine's linear algebra.
    return round(min(max(noise, LEAST_NOISE), MOST_NOISE), 2)


def _squared_covariance(ratings: Triples) -> float:
    """Return the estimate, drawn towards what is expected the more, the less sure it is."""
    expected, deviation = EXPECTED
    residuals, rated = _block(ratings)
    halves = [(r.T @ r, m.T @ m) for r, m in ((residuals[h::2], rated[h::2]) for h in (0, 1))]
    pairs = ~np.eye(residuals.shape[1], dtype=np.bool_)
    products = (halves[0][0] * halves[1][0])[pairs].astype(np.float64)
    counts = float((halves[0][1] * halves[1][1])[pairs].sum(dtype=np.float64))
    if not counts or not residuals.any():
        return expected
    variance = float((residuals**2).sum(dtype=np.float64) / rated.sum(dtype=np.float64))
    unit = counts * variance**2
    found, error = float(products.sum()) / unit, math.sqrt(float((products**2).sum())) / unit
    weights = 1 / deviation**2, 1 / max(error, 1e-6) ** 2
    return (expected * weights[0] + found * weights[1]) / sum(weights)


def _block(ratings: Triples) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return residuals after biases of the first rows, and 1 where there is a rating, else 0."""
    users, items, values = ratings
    chosen = where(len(users), lambda part: (users[part] < USERS) & (items[part] < ITEMS))
    users, items, values = users[chosen], items[chosen], values[chosen]
    residuals, rated = np.zeros((2, USERS, ITEMS), dtype=np.float32)
    if len(values):
        spread = measure_spread(values)
        normal = spread.for_training(values)
        user_bias, item_bias = fit_biases(
            users, items, normal, USERS, ITEMS, mean=0.0, sweeps=SWEEPS
        )
        residuals[users, items] = normal - user_bias[users] - item_bias[items]
        rated[users, items] = 1
    return residuals, rated
