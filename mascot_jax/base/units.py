"""Units of ratings: centre and scale, so that training sees every scale of ratings alike.

Ratings are mapped into *normal* units once, before training, and predictions out of them once,
where they leave a model. Sums are in float64, in a fixed order.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts, smallest

Floats = NDArray[np.float32]

SPREAD: Final = 1.1
"""Standard deviation of ratings in normal units: that of stars, which step sizes are chosen for."""
GRID: Final = 65_536.0
"""Ratings to train on are multiples of 1 / GRID in normal units: the last bit of a scale, such as
that of stars divided by ten, then does not reach the training."""
TAIL: Final = 500
"""One rating in so many, but at least one, is left out at each end to find the usual range."""
REACH: Final = 2.0
"""Ratings beyond the usual range by more than so many of its lengths are wild. For ratings of 1 to
5, those below -7 or above 13."""
WILD: Final = 10.0
"""Where the usual range is not known, ratings this far from the centre, in normal units, are wild:
for stars, those below -7 or above 14."""


class Units(NamedTuple):
    """``rating = centre + scale * normal rating``.

    The scale is negative if the tail of the ratings is above their mean: in normal units it is
    below, as that of stars. Ratings turned upside down so give the very same training.
    """

    centre: float = 0.0
    scale: float = 1.0

    @property
    def plain(self) -> bool:
        """Whether ratings are in normal units already."""
        return self == (0.0, 1.0)

    def normal(self, ratings: Floats) -> Floats:
        """Return ratings in normal units, float32 ``(n,)``."""
        if self.plain:
            return ratings
        normal = np.empty(ratings.shape, dtype=np.float32)
        for part in parts(len(ratings)):
            normal[part] = (ratings[part].astype(np.float64) - self.centre) / self.scale
        return normal

    def rating(self, normal: Floats) -> Floats:
        """Return normal ratings in their own units, float32 of the same shape."""
        if self.plain:
            return normal
        return np.float32(self.centre) + np.float32(self.scale) * normal


IN_OWN_UNITS: Final = Units()
"""Ratings that are trained as they are."""


class Spread(NamedTuple):
    """How ratings lie, and their units."""

    units: Units
    low: float
    """Ratings below are wild, and trained as this one; ``high`` likewise above."""
    high: float

    def wild(self, ratings: Floats) -> NDArray[np.bool_]:
        """Return bool ``(n,)``: ratings so far from the others that they would set the scale."""
        return (ratings < self.low) | (ratings > self.high)

    def cut(self, ratings: Floats) -> Floats:
        """Return ratings, float32 ``(n,)``, with wild ones cut to the bounds."""
        return ratings.clip(self.low, self.high)

    def for_training(self, ratings: Floats) -> Floats:
        """Return normal ratings, wild ones cut to the bounds, on the grid."""
        normal = self.units.normal(self.cut(ratings))
        on_grid: Floats = np.rint(normal * np.float32(GRID)) / np.float32(GRID)
        return on_grid


def measure_spread(ratings: Floats) -> Spread:
    """Return the units of ratings, float32 ``(n,)``; one wild rating among them changes little.

    The centre is the mean and the scale the standard deviation / 1.1, or its negative, after
    ratings far outside the usual range are cut. Ratings that are all the same have the scale 1.
    """
    low, high = _bounds(ratings)
    centre = _mean(ratings, low, high, 0.0, 1)
    variance = _mean(ratings, low, high, centre, 2)
    scale = math.sqrt(variance) / SPREAD
    if not scale > abs(centre) * np.finfo(np.float32).eps:
        return Spread(Units(centre, 1.0), low, high)
    above = _mean(ratings, low, high, centre, 3) > 0
    return Spread(Units(centre, -scale if above else scale), low, high)


def around(units: Units) -> Spread:
    """Return a spread in known units, for further ratings of the same kind."""
    far = WILD * abs(units.scale)
    return Spread(units, units.centre - far, units.centre + far)


def _bounds(ratings: Floats) -> tuple[float, float]:
    """Return the lowest and the highest rating that is not wild."""
    tail = min(max(1, len(ratings) // TAIL), (len(ratings) - 1) // 2)
    usual = smallest(ratings, [tail, len(ratings) - 1 - tail])
    reach = REACH * (usual[1] - usual[0])
    if not reach:
        return float(ratings.min()), float(ratings.max())
    return max(usual[0] - reach, float(ratings.min())), min(usual[1] + reach, float(ratings.max()))


def _mean(ratings: Floats, low: float, high: float, centre: float, power: int) -> float:
    """Return the mean power of the distances of the cut ratings from a centre."""
    total = 0.0
    for part in parts(len(ratings)):
        distance = ratings[part].clip(low, high).astype(np.float64) - centre
        product = distance
        for _ in range(1, power):
            product = product * distance
        total += float(product.sum())
    return total / len(ratings)
