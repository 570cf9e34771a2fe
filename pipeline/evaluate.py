"""Stage ``evaluate``: compute one fold's errors on its test ratings, by the split's indices."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from mascot_jax.base.metrics import Baselines
from mascot_jax.data.store import FoldRatings, read_fold
from mascot_jax.engine.devices import computing_on, device_for_use, execution_of
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.tables import to_device
from mascot_jax.mf.model import Model
from mascot_jax.mf.model_file import load_model, model_digest
from mascot_jax.settings import Params
from mascot_jax.settings.interactions import without_interactions
from mascot_jax.training.baselines import fit_baselines
from mascot_jax.training.lists import HeldOutLists
from mascot_jax.training.scoring import HeldOut
from pipeline.common import paths
from pipeline.common.stage import run_fold_stage


def evaluate(params: Params, fold: int) -> None:
    """Score the fold's model on the fold's test ratings."""
    model = load_model(paths.model(fold))
    with computing_on(device_for_use(model.settings, params.run.backend)):
        data = read_fold(paths.SPLIT, fold)
        if model.settings.of_interactions:
            scores = _list_scores(model, data)
        else:
            execution = execution_of(model.settings, params.run)
            scores = _scores(model, data, execution, clip=params.evaluate.clip)
            _warn_if_worse(fold, scores)
    paths.write_json(paths.scores(fold), scores | {"model": model_digest(paths.model(fold))})


def _warn_if_worse(fold: int, scores: dict[str, Any]) -> None:
    better = Baselines(scores["rmse_of_mean"], scores["rmse_of_biases"]).better_than(
        scores["rmse"], scores["ratings"]
    )
    if better:
        sys.stderr.write(
            f"fold {fold}: the model's RMSE of {scores['rmse']:.4g} is worse than that of "
            f"{' and of '.join(better)}: try train.recipe tuned, its other settings left null\n"
        )


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
        **_baselines(data)._asdict(),
        "ratings": totals.count,
        "cold_ratings": held_out.cold_count,
        **_facts(model),
    }


def _list_scores(model: Model, data: FoldRatings) -> dict[str, Any]:
    """Return the NDCG of a model of interactions, and of the most popular items."""
    users, items = model.users.row_of, model.items.row_of
    trained = users[data.train_user], items[data.train_item], data.train_rating
    lists = HeldOutLists(
        (users[data.test_user], items[data.test_item], data.test_rating),
        trained,
        data.user_count,
        model.items.warm_rows,
        most_users=data.user_count,
    )
    visits = np.bincount(trained[1], minlength=data.item_count)
    return {
        "ndcg": lists.score_rows(model.users.table, model.items.table),
        "ndcg_of_popular": lists.score_popular(visits),
        "ratings": len(data.test_rating),
        **_facts(model),
    }


def _facts(model: Model) -> dict[str, Any]:
    return {
        "traffic": model.traffic,
        "epochs_trained": model.epochs_trained,
        "factor_bytes": model.factor_bytes,
        "settings": without_interactions(model.settings.model_dump(mode="json")),
    }


def _baselines(data: FoldRatings) -> Baselines:
    return fit_baselines(
        (data.train_user, data.train_item, data.train_rating),
        (data.test_user, data.test_item, data.test_rating),
        data.user_count,
        data.item_count,
    )


if __name__ == "__main__":
    run_fold_stage(evaluate)
