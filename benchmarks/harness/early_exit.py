"""The error of predictions that end where updates do (``train.pruning: early-exit``)."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from mascot_jax.base.metrics import ErrorTotals
from mascot_jax.engine.early_exit import NAME, predict_to_stop
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.prediction import ColdRule
from mascot_jax.engine.ratings import Triples
from mascot_jax.engine.state import TrainState


def rmse_to_stop(
    state: TrainState, test: Triples, rule: ColdRule, execution: Execution
) -> float | None:
    """Return the RMSE of test ratings, by row; None of a training whose updates never end early."""
    if NAME not in state.methods:
        return None
    users, items, ratings = test
    dots, _ = predict_to_stop(
        jnp.asarray(users),
        jnp.asarray(items),
        state.users,
        state.items,
        state.methods[NAME]["thresholds"],
        execution=execution,
    )
    predicted = rule.complete(np.asarray(dots), users, items)
    return ErrorTotals(0.0, 0.0, 0).and_of(predicted, ratings).rmse
