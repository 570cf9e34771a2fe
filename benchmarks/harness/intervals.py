"""A mean of a few differences, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95


class Interval(NamedTuple):
    """A mean and its confidence interval, ``mean - half_width`` to ``mean + half_width``."""

    mean: float
    half_width: float
    """NaN of one value, which says nothing about its spread."""

    def __str__(self) -> str:
        """Return the two with five decimals."""
        width = "-" if math.isnan(self.half_width) else f"{self.half_width:.5f}"
        return f"{self.mean:+.5f} ± {width}"


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the mean of at least one value with Student's 95 % interval, as of independent ones.

    Half the width is ``t s / sqrt(n)`` with the standard deviation ``s`` and the 97.5 % point ``t``
    of the distribution with ``n - 1`` degrees of freedom.
    """
    n = len(values)
    if n == 1:
        return Interval(values[0], math.nan)
    quantile = float(stdtrit(n - 1, (1 + LEVEL) / 2))
    return Interval(float(np.mean(values)), quantile * float(np.std(values, ddof=1)) / math.sqrt(n))
