"""When to stop training, and the state to go back to."""

from __future__ import annotations

from collections.abc import Iterable

import jax
import jax.numpy as jnp

from mascot_jax.engine.state import TrainState


class EarlyStopping:
    """Keeps a copy of the state with the lowest validation RMSE so far.

    Parameters
    ----------
    patience
        Epochs without a lower one after which there is no use in going on.
    rmses, best
        Of a training that goes on: the validation RMSE of each epoch so far, and the state after
        the best of them.
    """

    def __init__(
        self, patience: int, rmses: Iterable[float] = (), best: TrainState | None = None
    ) -> None:
        self._patience = patience
        self._lowest: float | None = None
        self._waited = 0
        for rmse in rmses:
            self._is_best(rmse)
        self.best = best
        """After the best epoch so far; None before the first one."""

    @property
    def over(self) -> bool:
        """Whether to stop."""
        return self._waited >= self._patience

    def add(self, rmse: float, state: TrainState) -> bool:
        """Take note of an epoch; return whether to stop."""
        if self._is_best(rmse):
            self.best = None  # before its successor is made: one copy at a time
            self.best = jax.tree.map(jnp.copy, state)
        return self.over

    def _is_best(self, rmse: float) -> bool:
        """Count an epoch; return whether it is the best one."""
        if self._lowest is None or rmse < self._lowest:
            self._lowest, self._waited = rmse, 0
            return True
        self._waited += 1
        return False
