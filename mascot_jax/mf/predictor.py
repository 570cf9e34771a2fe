"""A model ready to predict any pairs: on the CPU by the kernel itself, else on a device."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts
from mascot_jax.engine.direct import Products
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.prediction import PAIRS_AT_A_TIME, products
from mascot_jax.engine.tables import to_device
from mascot_jax.mf.model import Model


class Predictor:
    """Prediction of pairs of indices, by the kernels of training and the pipeline's scores.

    Parameters
    ----------
    model
        Its factors are copied to the device that ``jax.default_device`` is set to; if to none, they
        stay on the host, and predictions need no JAX.
    execution
        Execution options.
    """

    def __init__(self, model: Model, execution: Execution) -> None:
        self._model = model
        self._execution = execution
        sides = model.users.table, model.items.table
        self._direct = None
        if jax.default_device.value is None:
            self._direct = Products(*sides, execution)
        else:
            self._users, self._items = map(to_device, sides)
        self._rule = model.cold_rule

    def predict(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.float32]:
        """Predict pairs.

        Parameters
        ----------
        users, items
            ``(n,)``: indices; -1 for unknown ids, which the model's cold rule answers.

        Returns
        -------
        predictions
            float32 ``(n,)``.
        """
        return self.predict_rows(self._model.users.rows_of(users), self._model.items.rows_of(items))

    def predict_rows(
        self, user_rows: NDArray[np.uint32], item_rows: NDArray[np.uint32]
    ) -> NDArray[np.float32]:
        """Predict pairs of rows; the row after the last is that of unknown ids (``rows_of``)."""
        dots = np.empty(len(user_rows), dtype=np.float32)
        for part in parts(len(user_rows), PAIRS_AT_A_TIME):
            dots[part] = self._products(user_rows[part], item_rows[part])
        return self._rule.complete(dots, user_rows, item_rows)

    def _products(
        self, user_rows: NDArray[np.uint32], item_rows: NDArray[np.uint32]
    ) -> NDArray[np.float32]:
        """Return the products of pairs of rows; without meaning for a row that does not exist."""
        if self._direct is not None:
            last = [np.uint32(len(side) - 1) for side in (self._model.users, self._model.items)]
            return self._direct.of(np.minimum(user_rows, last[0]), np.minimum(item_rows, last[1]))
        return self._on_device(user_rows, item_rows)

    def _on_device(
        self, user_rows: NDArray[np.uint32], item_rows: NDArray[np.uint32]
    ) -> NDArray[np.float32]:
        """Return the products, of pairs padded so that few programs are compiled."""
        size = 1 << max(len(user_rows) - 1, 0).bit_length()
        sides = ((user_rows, self._model.users), (item_rows, self._model.items))
        rows = [
            jnp.asarray(np.pad(np.minimum(rows, len(side) - 1), (0, size - len(rows))))
            for rows, side in sides
        ]
        found = products(*rows, self._users, self._items, execution=self._execution)
        return np.asarray(found)[: len(user_rows)]
