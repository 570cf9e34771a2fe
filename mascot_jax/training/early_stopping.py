"""When to stop training early, and the state to return to."""

from __future__ import annotations

from collections.abc import Iterable

import jax
import jax.numpy as jnp

from mascot_jax.engine.state import TrainState


class EarlyStopping:
    """A copy of the state with the lowest validation error so far, and when to stop.

    Parameters
    ----------
    patience
        Epochs without a lower error after which to stop.
    errors, best
        Of a resumed training: the validation error of each epoch so far, and the state after the
        best epoch. The error is the RMSE, or, with interactions, the negative NDCG.
    """

    def __init__(
        self, patience: int, errors: Iterable[float] = (), best: TrainState | None = None
    ) -> None:
        self._patience = patience
        self._lowest: float | None = None
        self._waited = 0
        for error in errors:
            self._is_best(error)
        self.best = best
        """State after the best epoch so far; None before the first one."""

    @property
    def over(self) -> bool:
        """Whether to stop."""
        return self._waited >= self._patience

    def add(self, error: float, state: TrainState) -> bool:
        """Record an epoch; return whether to stop."""
        if self._is_best(error):
            self.best = None  # free it before the next copy is made
            self.best = jax.tree.map(jnp.copy, state)
        return self.over

    def _is_best(self, error: float) -> bool:
        """Count an epoch; return whether it is the best so far."""
        if self._lowest is None or error < self._lowest:
            self._lowest, self._waited = error, 0
            return True
        self._waited += 1
        return False
