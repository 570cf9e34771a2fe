"""Baseline that a factorisation must beat: ``mean + user bias + item bias``."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from mascot_jax.base.arrays import parts
from mascot_jax.base.biases import fit_biases

Indices = npt.NDArray[np.uint32]
Ratings = npt.NDArray[np.float32]


def bias_rmse(user: Indices, item: Indices, rating: Ratings, users: int, items: int) -> float:
    """Return the RMSE of biases fitted to these ratings by plain least squares.

    Parameters
    ----------
    user, item
        uint32 [ratings], below ``users`` and ``items``.
    rating
        float32 [ratings].

    Returns
    -------
    float, in stars, over the same ratings (so a little lower than on unseen ratings).
    """
    mean = float(np.mean(rating, dtype=np.float64))
    user_bias, item_bias = fit_biases(user, item, rating, users, items, mean=mean, damping=0.0)
    squares = 0.0
    for part in parts(rating.size):
        error = rating[part] - mean - user_bias[user[part]] - item_bias[item[part]]
        squares += float(np.sum(error * error))
    return math.sqrt(squares / rating.size)
