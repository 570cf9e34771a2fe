"""The error of a state on held-out ratings."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mascot_jax.kernels import Execution
from mascot_jax.metrics import ErrorTotals
from mascot_jax.prediction import ColdRule, predict
from mascot_jax.state import Side


class HeldOut(NamedTuple):
    """Ratings that are not trained on.

    Rows uint32 ``(n,)``, ratings float32 ``(n,)``, the rule for cold ones.
    """

    user_rows: NDArray[np.uint32]
    item_rows: NDArray[np.uint32]
    ratings: NDArray[np.float32]
    rule: ColdRule

    def score(
        self,
        users: Side,
        items: Side,
        factors: int,
        execution: Execution,
        clip: tuple[float, float] | None = None,
    ) -> ErrorTotals:
        """Return the errors of predicting all of them, in chunks.

        Parameters
        ----------
        users, items
            Factors and groups.
        factors, execution
            k, and how to run.
        clip
            Lowest and highest prediction; none if None.
        """
        totals = ErrorTotals()
        for part, predictions in predict(
            users,
            items,
            self.user_rows,
            self.item_rows,
            self.rule,
            factors=factors,
            execution=execution,
        ):
            clipped = predictions if clip is None else np.clip(predictions, *clip)
            totals.add(clipped, self.ratings[part])
        return totals

    @property
    def cold_count(self) -> int:
        """Ratings that the rule answers."""
        return int(self.rule.is_cold(self.user_rows, self.item_rows).sum())
