"""Stage ``evaluate``: score the model on the test rows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.click_metrics import click_metrics
from mascot_jax.clicks.store import read_part, read_probabilities
from mascot_jax.dlrm.estimator import ClickModel
from mascot_jax.errors import DataError
from mascot_jax.settings.click_params import ClickParams
from pipeline.clicks import entry
from pipeline.common import paths


def evaluate(params: ClickParams) -> None:
    """Score the model on the rows that only this stage sees."""
    data = read_part(entry.ENCODED, "test")
    if not len(data):
        raise DataError("encode.test: there are no test rows to evaluate on: raise it")
    model = ClickModel.load(entry.MODEL)
    model.threads = params.run.threads
    metrics = {
        **model.evaluate(data),
        "rows": len(data),
        "log_loss_of_mean": log_loss_of_mean(read_part(entry.ENCODED, "train").labels, data.labels),
    }
    probability = read_probabilities(entry.ENCODED, "test")
    if probability is not None:
        planted = probability.astype(np.float64)
        best = click_metrics(data.labels, np.log(planted) - np.log1p(-planted))
        metrics |= {"best_auc": best.auc, "best_log_loss": best.log_loss}
    paths.write_json(entry.METRICS, metrics)


def log_loss_of_mean(train: NDArray[np.uint8], test: NDArray[np.uint8]) -> float:
    """Return the log loss of predicting the training rows' share of clicks for every test row."""
    share, clicks = float(np.mean(train)), float(np.mean(test))
    return -(clicks * math.log(share) + (1 - clicks) * math.log(1 - share))


if __name__ == "__main__":
    entry.run_click_stage(evaluate)
