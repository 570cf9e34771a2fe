"""Errors of predicted ratings, summed where the predictions are."""

from __future__ import annotations

import dataclasses
import math
from typing import Final

import jax

TERMS: Final = 1024
"""Numbers of one sum: the fewer, the less float32 rounds away."""


@dataclasses.dataclass(frozen=True)
class ErrorTotals:
    """Totals over (prediction, rating) pairs."""

    squared: float
    absolute: float
    count: int

    @property
    def rmse(self) -> float:
        """Root mean square error; NaN of no pairs."""
        return math.sqrt(self.squared / self.count) if self.count else math.nan

    @property
    def mae(self) -> float:
        """Mean absolute error; NaN of no pairs."""
        return self.absolute / self.count if self.count else math.nan


def total(values: jax.Array) -> jax.Array:
    """Sum numbers of one sign, float32 ``(n,)``, to about 1e-7 of the result, float32 ``()``.

    n is a multiple of 1024, best up to 1024^2. JAX has no float64 unless a global setting says so.
    """
    rows = values.reshape(-1, TERMS).sum(axis=1)  # [n] -> [n / 1024]
    # Without the barrier, XLA may merge the two sums into a single one of n terms.
    result: jax.Array = jax.lax.optimization_barrier(rows).sum()
    return result
