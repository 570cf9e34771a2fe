"""The yardstick that factorisation must beat: ``mean + user bias + item bias``."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.uint32]
Ratings = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

_CHUNK = 1 << 22
_SWEEPS = 6
"""From the fourth sweep on, the error changes in the sixth digit on the generator's sets."""


def bias_rmse(user: Indices, item: Indices, rating: Ratings, users: int, items: int) -> float:
    """RMSE of the biases fitted to these ratings by least squares, alternating between the sides.

    Parameters
    ----------
    user, item
        uint32 [ratings], below ``users`` and ``items``.
    rating
        float32 [ratings].

    Returns
    -------
    float, in stars, over the same ratings (so a little below what unseen ratings would give).
    """
    mean = float(np.mean(rating, dtype=np.float64))
    user_bias, item_bias = np.zeros(users), np.zeros(items)
    for _ in range(_SWEEPS):
        user_bias = _fit(user, item, rating, mean, item_bias, users)
        item_bias = _fit(item, user, rating, mean, user_bias, items)
    squares = 0.0
    for part in _parts(rating.size):
        error = rating[part] - mean - user_bias[user[part]] - item_bias[item[part]]
        squares += float(np.sum(error * error))
    return math.sqrt(squares / rating.size)


def _fit(
    own: Indices, other: Indices, rating: Ratings, mean: float, other_bias: Floats, size: int
) -> Floats:
    """Mean residual of each row of one side, given the other side's biases; 0 without ratings."""
    sums, counts = np.zeros(size), np.zeros(size, dtype=np.int64)
    for part in _parts(rating.size):
        residual = rating[part] - mean - other_bias[other[part]]
        index = own[part].astype(np.intp)
        sums += np.bincount(index, weights=residual, minlength=size)
        counts += np.bincount(index, minlength=size)
    return sums / np.maximum(counts, 1)


def _parts(size: int) -> Iterator[slice]:
    for start in range(0, size, _CHUNK):
        yield slice(start, start + _CHUNK)
