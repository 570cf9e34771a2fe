"""Error metrics of predicted ratings."""

from __future__ import annotations

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class ErrorTotals:
    """Sums of errors over (prediction, rating) pairs."""

    squared: float
    absolute: float
    count: int

    @property
    def rmse(self) -> float:
        """Root mean square error; NaN without pairs."""
        return math.sqrt(self.squared / self.count) if self.count else math.nan

    @property
    def mae(self) -> float:
        """Mean absolute error; NaN without pairs."""
        return self.absolute / self.count if self.count else math.nan
