"""DVC runs what a change concerns, and nothing else counts."""

import json

from tests.pipeline.workspace import stages_run


def test_an_evaluate_parameter_does_not_retrain(workspace):
    before = workspace.json("metrics.json")
    workspace.set(evaluate__clip=True)
    *folds, last = stages_run(workspace.dvc("repro"))
    assert sorted(folds) == ["evaluate@0", "evaluate@1"]  # neither waits for the other
    assert last == "summarize"
    after = workspace.json("metrics.json")
    assert after["rmse_mean"] < before["rmse_mean"]
    assert workspace.json("timings.json")["folds_timed"] == 2  # their models are still those


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
