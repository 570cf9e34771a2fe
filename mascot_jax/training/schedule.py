"""The step size of every epoch (eta_t), known before the first one."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mascot_jax.settings import TrainPlan


@lru_cache(maxsize=16)
def learning_rates(plan: TrainPlan) -> NDArray[np.float32]:
    """Return the step size of each epoch, from 0 on, float32 ``(epochs,)``, read-only.

    ``power`` is eta / (1 + decay t^1.5), the paper's; ``linear`` is eta (1 - t / epochs), which
    would be 0 in the epoch after the last one. They are computed in float64 with only + - * / and
    square roots, so that every machine gives the same bits.
    """
    t = np.arange(plan.epochs, dtype=np.float64)
    if plan.schedule == "linear":
        share = 1.0 - t / plan.epochs
    else:
        share = 1.0 / (1.0 + (plan.decay or 0.0) * (t * np.sqrt(t)))
    rates = (plan.learning_rate * share).astype(np.float32)
    rates.flags.writeable = False
    return rates
