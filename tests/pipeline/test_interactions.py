"""The stages with ``train.objective: interactions``."""

import pytest

from mascot_jax.mf.model_file import load_model

OPEN = ("recipe", "epochs", "learning_rate", "decay", "user_reg", "item_reg", "threshold")


@pytest.mark.hardening
def test_metrics_are_of_lists(workspace):
    workspace.set(
        folds=[0],
        train__objective="interactions",
        train__validation=0.1,
        train__method="fp16",
        **{f"train__{name}": None for name in OPEN},
    )
    for stage, *fold in (("train", 0), ("evaluate", 0), ("summarize",)):
        done = workspace.stage(stage, *map(str, fold))
        assert done.returncode == 0, done.stderr
    model = load_model(workspace.path("models/0.safetensors"))
    assert model.settings.objective == "interactions"
    metrics = workspace.json("metrics.json")
    assert metrics["objective"] == "interactions"
    assert metrics["ndcg_mean"] == metrics["ndcg_fold0"]
    assert 0 < metrics["ndcg_of_popularity_mean"] < 1
    assert 0 < metrics["validation_ndcg_mean"] < 1
    assert not [name for name in metrics if name.startswith(("rmse_mean", "mae"))]
    logged = workspace.path("dvclive/0/plots/metrics/ndcg.tsv").read_text().splitlines()
    assert len(logged) == 1 + 16
    (last,) = {float(logged[-1].split("\t")[-1])}
    assert last == pytest.approx(metrics["ndcg_mean"])
