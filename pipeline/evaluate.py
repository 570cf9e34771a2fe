"""Stage ``evaluate``: compute one fold's errors on its test ratings, by the split's indices."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from mascot_jax.base.metrics import Baselines, ErrorTotals
from mascot_jax.data.store import FoldRatings, read_fold
from mascot_jax.engine.devices import computing_on, device_for_use, execution_of
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.tables import to_device
from mascot_jax.mf.model import Model
from mascot_jax.mf.model_file import load_model, model_digest
from mascot_jax.mf.pruned import PrunedPredictor
from mascot_jax.settings import Params
from mascot_jax.training.baselines import fit_baselines
from mascot_jax.training.scoring import HeldOut
from pipeline.common import paths
from pipeline.common.stage import run_fold_stage


def evaluate(params: Params, fold: int) -> None:
    """Score the fold's model on the fold's test ratings."""
    model = load_model(paths.model(fold))
    with computing_on(device_for_use(model.settings, params.run.backend)):
        scores = _scores(
            model,
            read_fold(paths.SPLIT, fold),
            execution_of(model.settings, params.run),
            clip=params.evaluate.clip,
        )
    better = Baselines(scores["rmse_of_mean"], scores["rmse_of_biases"]).better_than(
        scores["rmse"], scores["ratings"]
    )
    if better:
        sys.stderr.write(
            f"fold {fold}: the model's RMSE of {scores['rmse']:.4g} is worse than that of "
            f"{' and of '.join(better)}: try train.recipe tuned, its other settings left null\n"
        )
    paths.write_json(paths.scores(fold), scores | {"model": model_digest(paths.model(fold))})


def _scores(model: Model, data: FoldRatings, execution: Execution, *, clip: bool) -> dict[str, Any]:
    held_out = HeldOut(
        model.users.row_of[data.test_user],
        model.items.row_of[data.test_item],
        data.test_rating,
        model.cold_rule,
    )
    totals = held_out.score(
        to_device(model.users.table),
        to_device(model.items.table),
        execution,
        (model.low, model.high) if clip else None,
    )
    return {
        "rmse": totals.rmse,
        "mae": totals.mae,
        **_pruned(model, data, execution),
        **_baselines(data)._asdict(),
        "ratings": totals.count,
        "cold_ratings": held_out.cold_count,
        "traffic": model.traffic,
        "epochs_trained": model.epochs_trained,
        "factor_bytes": model.factor_bytes,
        "settings": model.settings.model_dump(mode="json"),
    }


def _pruned(model: Model, data: FoldRatings, execution: Execution) -> dict[str, float]:
    """Return the error of predictions that end early, if the training's updates did."""
    if model.thresholds is None:
        return {}
    pruned = PrunedPredictor(model, execution)
    predicted = pruned.predict(data.test_user.astype(np.int64), data.test_item.astype(np.int64))
    totals = ErrorTotals(0.0, 0.0, 0).and_of(predicted, data.test_rating)
    return {"rmse_pruned": totals.rmse, "visited": pruned.visited}


def _baselines(data: FoldRatings) -> Baselines:
    return fit_baselines(
        (data.train_user, data.train_item, data.train_rating),
        (data.test_user, data.test_item, data.test_rating),
        data.user_count,
        data.item_count,
    )


if __name__ == "__main__":
    run_fold_stage(evaluate)
