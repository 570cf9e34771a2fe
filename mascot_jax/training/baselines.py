"""Errors without factors: of the mean training rating, and of damped biases."""

from __future__ import annotations

import numpy as np

from mascot_jax.base.biases import Biases, choose_damping, fit_biases
from mascot_jax.base.metrics import Baselines
from mascot_jax.engine.prediction import ColdRule
from mascot_jax.engine.ratings import Triples
from mascot_jax.training.scoring import score_baselines


def fit_baselines(train: Triples, test: Triples, user_count: int, item_count: int) -> Baselines:
    """Return the RMSE on test ratings of the training ratings' mean, and of biases fitted to these.

    Parameters
    ----------
    train, test
        Users, items and ratings; the first two below ``user_count`` and ``item_count``.
    user_count, item_count
        Number of users and of items.
    """
    mean = float(train[2].mean(dtype=np.float64))
    counts = user_count, item_count
    damping = choose_damping(*train, *counts, mean=mean)
    fitted = fit_biases(*train, *counts, mean=mean, damping=damping)
    biases = Biases(*(bias.astype(np.float32) for bias in fitted))
    return score_baselines(test, ColdRule(mean, 0, 0), biases)
