"""Test RMSE against training time, and what can be read off it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Curve(NamedTuple):
    """One training; arrays ``(epochs,)``."""

    seconds: NDArray[np.float64]
    """Of training until the end of each epoch, without evaluation and compilation."""
    rmse: NDArray[np.float64]
    """After it."""

    @property
    def best(self) -> float:
        """The lowest RMSE."""
        return float(self.rmse.min())

    def epochs_to(self, goal: float) -> int | None:
        """Return how many epochs it takes to an RMSE of at most this; None if it never comes."""
        reached = np.flatnonzero(self.rmse <= goal)
        return int(reached[0]) + 1 if reached.size else None

    def seconds_to(self, goal: float) -> float | None:
        """Return the seconds that these epochs take."""
        epochs = self.epochs_to(goal)
        return None if epochs is None else float(self.seconds[epochs - 1])
