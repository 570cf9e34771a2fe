"""Truth of the synthetic ratings: known biases and a few known factors.

A rating is ``clip(round(truth + noise))``. On average, no predictor is better than the conditional
expectation given the truth, so the error of that expectation is the floor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.uint32]
Ratings = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

# Chosen so that ratings are distributed as in MovieLens 1M (mean 3.5, deviation 1.1), biases alone
# miss the floor by a quarter, and 50 epochs of plain SGD come within a few per cent of it.
_MEAN = np.float32(3.6)
_USER_SPREAD, _ITEM_SPREAD = np.float32(0.35), np.float32(0.4)
_FACTOR_SPREADS = np.array([0.53, 0.37, 0.26, 0.18], dtype=np.float32)

_REACH = 6.0
_PER_UNIT = 512
_GRID = np.arange(-_REACH * _PER_UNIT, _REACH * _PER_UNIT + 1) / _PER_UNIT
_CDF = np.array([0.5 * math.erfc(-z / math.sqrt(2.0)) for z in _GRID.tolist()])
_RISE = np.append(np.diff(_CDF), 0.0)


@dataclass(frozen=True)
class Scale:
    """Rating scale: ``low``, ``low + step``, ..., ``high``."""

    low: float
    high: float
    step: float

    def quantise(self, values: Ratings) -> Ratings:
        """Round values to the nearest rating, float32."""
        steps = np.rint(values / np.float32(self.step)) * np.float32(self.step)
        rating: Ratings = np.clip(steps, np.float32(self.low), np.float32(self.high))
        return rating

    def expect(self, truth: Ratings, noise: float) -> Floats:
        """Return the mean rating, float64, for Gaussian noise of this standard deviation."""
        if noise == 0.0:
            return self.quantise(truth).astype(np.float64)
        expected = np.full(truth.shape, self.low)
        for edge in np.arange(self.low + self.step / 2, self.high, self.step).tolist():
            expected += self.step * _normal_cdf((truth - np.float64(edge)) / noise)
        return expected


@dataclass(frozen=True)
class Truth:
    """Ratings of every user for every item, before noise and rounding.

    Attributes
    ----------
    user_bias, item_bias : float32 [users], [items]
        In stars.
    user_factors, item_factors : float32 [factors, users], [factors, items]
        Their products, summed over the factors, are added to the biases.
    """

    user_bias: Ratings
    item_bias: Ratings
    user_factors: Ratings
    item_factors: Ratings

    def score(self, user: Indices, item: Indices) -> Ratings:
        """Return the truth for each pair, float32 [pairs], in stars."""
        truth = _MEAN + self.user_bias[user] + self.item_bias[item]
        # One factor at a time: a matrix product may sum in another order on another machine.
        for user_factor, item_factor in zip(self.user_factors, self.item_factors, strict=True):
            truth += user_factor[user] * item_factor[item]
        return truth


def plant(users: int, items: int, rng: np.random.Generator) -> Truth:
    """Draw a truth of low rank: biases and four factors."""

    def normal(*shape: int) -> Ratings:
        return rng.standard_normal(shape, dtype=np.float32)

    count = _FACTOR_SPREADS.size
    return Truth(
        user_bias=_USER_SPREAD * normal(users),
        item_bias=_ITEM_SPREAD * normal(items),
        user_factors=_FACTOR_SPREADS[:, None] * normal(count, users),
        item_factors=normal(count, items),
    )


def _normal_cdf(z: Floats) -> Floats:
    """Interpolate the normal CDF to 1e-6; a regular grid needs no search, unlike np.interp."""
    place = np.clip((z + _REACH) * _PER_UNIT, 0.0, _CDF.size - 1.0)
    index = place.astype(np.int32)
    cdf: Floats = _CDF[index] + (place - index) * _RISE[index]
    return cdf
