"""Stage ``evaluate``: score the model on the test rows."""

from __future__ import annotations

from mascot_jax.base.click_metrics import best_metrics, log_loss_of_mean
from mascot_jax.clicks.store import read_with_probabilities
from mascot_jax.dlrm.estimator import ClickModel
from mascot_jax.errors import DataError
from mascot_jax.settings.click_params import ClickParams
from pipeline.clicks import entry
from pipeline.common import paths


def evaluate(params: ClickParams) -> None:
    """Score the model on the rows that only this stage sees."""
    data, probability = read_with_probabilities(entry.ENCODED, "test")
    if not len(data):
        raise DataError("encode.test: there are no test rows to evaluate on: raise it")
    model = ClickModel.load(entry.MODEL)
    model.backend, model.threads = params.run.backend, params.run.threads
    metrics = {
        **model.evaluate(data),
        "rows": len(data),
        "log_loss_of_mean": log_loss_of_mean(data.labels),
    }
    if probability is not None:
        metrics |= best_metrics(data.labels, probability)
    paths.write_json(entry.METRICS, metrics)


if __name__ == "__main__":
    entry.run_click_stage(evaluate)
