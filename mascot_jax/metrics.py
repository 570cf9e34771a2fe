"""Errors of predicted ratings, summed in float64 however many there are."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass
class ErrorTotals:
    """Running totals over (prediction, rating) pairs."""

    squared: float = 0.0
    absolute: float = 0.0
    count: int = 0

    def add(self, predictions: NDArray[np.float32], ratings: NDArray[np.float32]) -> None:
        """Add pairs: two float arrays ``(n,)``."""
        errors = predictions.astype(np.float64) - ratings
        self.squared += float(np.square(errors).sum())
        self.absolute += float(np.abs(errors).sum())
        self.count += len(errors)

    @property
    def rmse(self) -> float:
        """Root mean square error; NaN of no pairs."""
        return math.sqrt(self.squared / self.count) if self.count else math.nan

    @property
    def mae(self) -> float:
        """Mean absolute error; NaN of no pairs."""
        return self.absolute / self.count if self.count else math.nan
