"""What a model trained with early exit predicts if predictions end early, too."""

from __future__ import annotations

import jax
import numpy as np

from mascot_jax.base.arrays import parts
from mascot_jax.base.metrics import ErrorTotals
from mascot_jax.engine.devices import computing_on
from mascot_jax.engine.early_exit import predict_to_stop
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.prediction import PAIRS_AT_A_TIME
from mascot_jax.engine.ratings import Triples
from mascot_jax.engine.tables import to_device
from mascot_jax.mf.model import Model


def pruned_errors(
    model: Model,
    ratings: Triples,
    execution: Execution,
    clip: tuple[float, float] | None = None,
) -> dict[str, float]:
    """Return the error of predictions that end at the first component near zero, to compare with.

    Parameters
    ----------
    model
        Any.
    ratings
        By row, as of ``evaluation.by_row``.
    execution
        Execution options; the CPU computes.
    clip
        Lowest and highest prediction; None: no limits.

    Returns
    -------
    dict
        ``rmse_pruned``, and ``visited``, the share of the components that the predictions take.
        Empty if the model's training did not end updates early.
    """
    if model.thresholds is None:
        return {}
    users, items, values = ratings
    rule = model.cold_rule
    totals, stops = ErrorTotals(0.0, 0.0, 0), 0
    with computing_on(jax.local_devices(backend="cpu")[0]):
        tables = to_device(model.users.table), to_device(model.items.table)
        thresholds = np.array(model.thresholds, dtype=np.float32)
        for part in parts(len(values), PAIRS_AT_A_TIME):
            rows = users[part], items[part]
            there = [
                np.minimum(own, np.uint32(len(side) - 1))
                for own, side in zip(rows, (model.users, model.items), strict=True)
            ]
            dots, ends = predict_to_stop(*there, *tables, thresholds, execution=execution)
            predicted = rule.complete(np.asarray(dots), *rows)
            if clip is not None:
                predicted = predicted.clip(*clip)
            totals = totals.and_of(predicted, values[part])
            stops += int(np.asarray(ends).sum(dtype=np.int64))
    return {"rmse_pruned": totals.rmse, "visited": stops / (len(values) * model.factors)}
