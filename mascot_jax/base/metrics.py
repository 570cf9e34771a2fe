"""Error metrics of predicted ratings."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

ENOUGH: Final = 100
"""Fewer pairs do not show which of two models is better."""
MARGIN: Final = 1.005
"""A model is called worse than a baseline if its RMSE is at least so many times as high."""

OF_POPULARITY: Final = "_of_popularity"
"""End of the names of what lists of the most popular items reach."""


class Baselines(NamedTuple):
    """RMSE that no model should exceed, in the ratings' own units."""

    rmse_of_mean: float | None
    """Of predicting the mean training rating."""
    rmse_of_biases: float | None
    """Of predicting it plus damped biases of user and item; None if these are not known."""

    def better_than(self, rmse: float, count: int) -> list[str]:
        """Return which of the two are better than a model with this RMSE on so many pairs."""
        names = {"the mean rating": self.rmse_of_mean, "biases alone": self.rmse_of_biases}
        return [
            f"{name} ({own:.4g})"
            for name, own in names.items()
            if own is not None and count >= ENOUGH and rmse > MARGIN * own
        ]


@dataclasses.dataclass(frozen=True)
class ErrorTotals:
    """Sums of errors over (prediction, rating) pairs."""

    squared: float
    absolute: float
    count: int

    def and_of(
        self, predictions: NDArray[np.floating[Any]], ratings: NDArray[np.float32]
    ) -> ErrorTotals:
        """Return these totals with those of further pairs, ``(n,)`` each, added."""
        errors = predictions.astype(np.float64) - ratings
        return ErrorTotals(
            self.squared + float(np.square(errors).sum()),
            self.absolute + float(np.abs(errors).sum()),
            self.count + len(errors),
        )

    @property
    def rmse(self) -> float:
        """Root mean square error; NaN without pairs."""
        return math.sqrt(self.squared / self.count) if self.count else math.nan

    @property
    def mae(self) -> float:
        """Mean absolute error; NaN without pairs."""
        return self.absolute / self.count if self.count else math.nan
