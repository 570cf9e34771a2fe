"""Stage ``evaluate``: compute one fold's errors on its test ratings, by the split's indices."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from mascot_jax.base.metrics import Baselines
from mascot_jax.data.store import FoldRatings, read_fold
from mascot_jax.engine.devices import computing_on, device_for_use, execution_of
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.tables import to_device
from mascot_jax.mf.list_metrics import ListTest, by_index, is_relevant, list_metrics
from mascot_jax.mf.model import Model
from mascot_jax.mf.model_file import load_model, model_digest
from mascot_jax.mf.predictor import Predictor
from mascot_jax.mf.pruned import pruned_errors
from mascot_jax.mf.recommend import Ranking
from mascot_jax.ranking.pairs import make_pairs
from mascot_jax.settings import Params
from mascot_jax.settings.interactions import without_interactions
from mascot_jax.settings.params import EvaluateSettings
from mascot_jax.training.baselines import fit_baselines
from mascot_jax.training.lists import LENGTH
from mascot_jax.training.scoring import HeldOut
from pipeline.common import paths
from pipeline.common.stage import run_fold_stage


def evaluate(params: Params, fold: int) -> None:
    """Score the fold's model on the fold's test ratings."""
    model, data = load_model(paths.model(fold)), read_fold(paths.SPLIT, fold)
    execution = execution_of(model.settings, params.run)
    with computing_on(device_for_use(model.settings, params.run.backend)):
        if model.settings.of_interactions:
            scores = _list_scores(model, data, execution, params.evaluate)
        else:
            scores = _scores(model, data, execution, clip=params.evaluate.clip)
            if params.evaluate.top_n is not None:
                scores["lists"] = _lists(model, data, execution, params.evaluate)
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
    rows = model.users.row_of[data.test_user], model.items.row_of[data.test_item]
    held_out = HeldOut(*rows, data.test_rating, model.cold_rule)
    totals = held_out.score(
        to_device(model.users.table),
        to_device(model.items.table),
        execution,
        (model.low, model.high) if clip else None,
    )
    return {
        "rmse": totals.rmse,
        "mae": totals.mae,
        **pruned_errors(model, (*rows, data.test_rating), execution),
        **_baselines(data)._asdict(),
        "ratings": totals.count,
        "cold_ratings": held_out.cold_count,
        **_facts(model),
    }


def _list_scores(
    model: Model, data: FoldRatings, execution: Execution, settings: EvaluateSettings
) -> dict[str, Any]:
    """Return the figures of a model of interactions, which has no others."""
    lists = _lists(model, data, execution, settings)
    ratings = len(data.test_rating)
    return {"ndcg": lists["ndcg"], "lists": lists, "ratings": ratings, **_facts(model)}


def _facts(model: Model) -> dict[str, Any]:
    return {
        "traffic": model.traffic,
        "epochs_trained": model.epochs_trained,
        "factor_bytes": model.factor_bytes,
        "settings": without_interactions(model.settings.model_dump(mode="json")),
    }


def _lists(
    model: Model, data: FoldRatings, execution: Execution, settings: EvaluateSettings
) -> dict[str, float]:
    """Return the metrics of lists without the items that the user was trained on."""
    model = replace(model, seen=make_pairs(data.train_user, data.train_item, data.user_count))
    relevant = is_relevant(data.test_rating, settings.relevant, "evaluate.relevant")
    return list_metrics(
        model,
        Ranking(model),
        Predictor(model, execution),
        by_index(model, data.test_user, data.test_item, relevant),
        ListTest(settings.top_n or LENGTH, sampled=settings.sampled),
    )


def _baselines(data: FoldRatings) -> Baselines:
    return fit_baselines(
        (data.train_user, data.train_item, data.train_rating),
        (data.test_user, data.test_item, data.test_rating),
        data.user_count,
        data.item_count,
    )


if __name__ == "__main__":
    run_fold_stage(evaluate)
