"""DVC runs what a change concerns, and nothing else counts."""

import dataclasses
import json
import statistics

import pytest

from mascot_jax import MatrixFactorization
from mascot_jax.data.store import read_fold
from mascot_jax.ranking.pairs import make_pairs
from tests.pipeline.workspace import stages_run


def test_an_evaluate_parameter_does_not_retrain(workspace):
    before = workspace.json("metrics.json")
    assert "ndcg_mean" not in before
    workspace.set(evaluate__clip=True, evaluate__top_n=5, evaluate__relevant=3.5)
    workspace.set(evaluate__sampled=4)
    *folds, last = stages_run(workspace.dvc("repro"))
    assert sorted(folds) == ["evaluate@0", "evaluate@1"]  # neither waits for the other
    assert last == "summarize"
    after = workspace.json("metrics.json")
    assert after["rmse_mean"] < before["rmse_mean"]
    assert workspace.json("timings.json")["folds_timed"] == 2  # their models are still those
    lists = [_figures_of_the_library(workspace, fold) for fold in (0, 1)]
    for name in ("ndcg", "recall_of_popularity", "sampled_hit_rate", "sampled_ndcg_of_popularity"):
        mean = statistics.fmean(figures[name] for figures in lists)
        key = name if name.endswith("_of_popularity") else f"{name}_mean"
        assert after[key] == pytest.approx(mean, rel=1e-6)


def _figures_of_the_library(workspace, fold):
    """What ``evaluate`` says of a fold's model that knows what it was trained on."""
    data = read_fold(workspace.path("data/split/ratings.safetensors"), fold)
    model = MatrixFactorization.load(workspace.path(f"models/{fold}.safetensors"))
    ids = model.user_ids_, model.item_ids_
    seen = make_pairs(data.train_user, data.train_item, data.user_count)
    model.model_ = dataclasses.replace(model.model_, seen=seen)
    test = ids[0][data.test_user], ids[1][data.test_item], data.test_rating
    return model.evaluate(test, top_n=5, relevant=3.5, sampled=4)


def test_only_the_folds_in_params_count(workspace):
    scores = workspace.json("results/scores/0.json")
    stale = workspace.path("results/scores/2.json")
    stale.write_text(json.dumps(scores | {"rmse": 99.0, "model": "stale"}), encoding="utf-8")
    timing = workspace.json("timings/0.json") | {"train_seconds": 1e9}
    workspace.path("timings/2.json").write_text(json.dumps(timing), encoding="utf-8")
    before = workspace.json("metrics.json")

    workspace.dvc("repro")
    assert workspace.json("metrics.json") == before
    assert workspace.json("timings.json")["train_seconds"] < 1e6

    workspace.set(folds=[1])
    assert stages_run(workspace.dvc("repro")) == ["summarize"]
    after = workspace.json("metrics.json")
    assert after["rmse_mean"] == before["rmse_fold1"]
    assert after["rmse_std"] == 0
    assert "rmse_fold0" not in after
    assert {row["fold"] for row in workspace.json("results/plots/convergence.json")} == {1}
    assert workspace.json("timings.json")["folds_timed"] == 1
