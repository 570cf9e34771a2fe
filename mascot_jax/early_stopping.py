"""When to stop training, and the state to go back to."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from mascot_jax.state import TrainState


class EarlyStopping:
    """Keeps a copy of the state with the lowest validation RMSE so far.

    Parameters
    ----------
    patience
        Epochs without a lower one after which there is no use in going on.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._rmse = math.inf
        self._waited = 0
        self.best: TrainState | None = None
        """After the best epoch so far; None before the first one."""

    def add(self, rmse: float, state: TrainState) -> bool:
        """Take note of an epoch; return whether to stop."""
        if self.best is None or rmse < self._rmse:
            self._rmse, self._waited = rmse, 0
            self.best = None  # before its successor is made: one copy at a time
            self.best = jax.tree.map(jnp.copy, state)
        else:
            self._waited += 1
        return self._waited >= self._patience
