"""What a model trained with early exit predicts if predictions end early, too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts
from mascot_jax.engine.early_exit import predict_to_stop
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.prediction import PAIRS_AT_A_TIME
from mascot_jax.engine.tables import to_device
from mascot_jax.mf.model import Model


class PrunedPredictor:
    """Predictions that end at the first component near zero, to compare with the whole ones.

    Parameters
    ----------
    model
        One with ``thresholds``.
    execution
        Execution options. JAX's default device must be the CPU.
    """

    def __init__(self, model: Model, execution: Execution) -> None:
        self._model, self._execution = model, execution
        self._tables = to_device(model.users.table), to_device(model.items.table)
        self._thresholds = np.array(model.thresholds, dtype=np.float32)
        self._stops = self._pairs = 0

    @property
    def visited(self) -> float:
        """Share of the components that the predictions so far took; NaN before the first."""
        return self._stops / (self._pairs * self._model.factors) if self._pairs else float("nan")

    def predict(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.float32]:
        """Predict pairs of indices ``(n,)``, -1 for unknown ids, as ``Predictor.predict`` does."""
        sides = (self._model.users, users), (self._model.items, items)
        rows = [side.rows_of(indices) for side, indices in sides]
        dots = np.empty(len(users), dtype=np.float32)
        for part in parts(len(users), PAIRS_AT_A_TIME):
            there = [
                np.minimum(own[part], np.uint32(len(side) - 1))
                for own, (side, _) in zip(rows, sides, strict=True)
            ]
            found, stops = predict_to_stop(
                *there, *self._tables, self._thresholds, execution=self._execution
            )
            dots[part] = np.asarray(found)
            self._stops += int(np.asarray(stops).sum(dtype=np.int64))
            self._pairs += len(there[0])
        return self._model.cold_rule.complete(dots, rows[0], rows[1])
