"""What a run leaves: metrics, timings, logs."""

import csv
import math
import os
import statistics

import numpy as np
import polars as pl
import pytest

from mascot_jax.data.store import count_training_ratings
from mascot_jax.mf.model_file import load_model
from pipeline.common.stage import read_params
from pipeline.summarize import RESOLVED
from tests.pipeline.workspace import CHECKOUT, Workspace, stages_run

METRICS = {
    "method", "rmse_mean", "rmse_std", "mae_mean", "rmse_floor", "rmse_bias_only",
    "traffic_float16", "traffic_float32", "factor_bytes",
}  # fmt: skip
TIMINGS = {"train_seconds", "updates_per_s", "peak_memory_bytes", "backend"}


def logged(workspace, fold, metric):
    path = workspace.path(f"dvclive/{fold}/plots/metrics/{metric}.tsv")
    with path.open(encoding="utf-8", newline="") as file:
        return [float(row[metric.split("/")[-1]]) for row in csv.DictReader(file, delimiter="\t")]


def test_metrics_are_flat_and_have_the_contracts_keys(reproduced):
    metrics = reproduced.json("metrics.json")
    assert metrics.keys() >= METRICS
    assert all(isinstance(value, str | int | float) for value in metrics.values())
    assert metrics["method"] == "mascot"
    assert metrics["threshold"] == 1.2
    assert metrics["period"] == 2  # the method's, as params.yaml has null
    assert metrics["traffic_float16"] + metrics["traffic_float32"] == pytest.approx(1)
    assert 0 < metrics["traffic_float32"] < 1


def test_metrics_average_the_folds(reproduced):
    metrics = reproduced.json("metrics.json")
    scores = [reproduced.json(f"results/scores/{fold}.json") for fold in (0, 1)]
    assert metrics["rmse_mean"] == pytest.approx(statistics.fmean(s["rmse"] for s in scores))
    assert metrics["rmse_std"] == pytest.approx(statistics.stdev(s["rmse"] for s in scores))
    assert metrics["mae_mean"] == pytest.approx(statistics.fmean(s["mae"] for s in scores))
    assert metrics["rmse_floor"] < metrics["rmse_mean"] < 2


def test_timings_are_flat_and_have_the_contracts_keys(reproduced):
    timings = reproduced.json("timings.json")
    assert timings.keys() >= TIMINGS
    assert all(isinstance(value, str | int | float) for value in timings.values())
    assert timings["folds_timed"] == 2
    assert timings["threads"] == len(os.sched_getaffinity(0))
    assert timings["train_seconds"] > 0


def test_model_holds_live_rows_only(reproduced):
    models = [load_model(reproduced.path(f"models/{fold}.safetensors")) for fold in (0, 1)]
    for model in models:
        rows = [sum(map(len, side.table.stored.values())) for side in (model.users, model.items)]
        assert rows == [120, 80]
    metrics = reproduced.json("metrics.json")
    assert metrics["factor_bytes"] == round(statistics.fmean(m.factor_bytes for m in models))


def test_models_know_ids_and_counts(reproduced):
    model = load_model(reproduced.path("models/0.safetensors"))
    training = count_training_ratings(reproduced.path("data/split/ratings.safetensors"), 0)
    sides = (model.users, model.items), ("users", "items"), training
    for side, name, counts in zip(*sides, strict=True):
        ids = pl.read_parquet(reproduced.path(f"data/split/{name}.parquet"))["id"]
        assert side.ids.values.tolist() == ids.to_list()
        np.testing.assert_array_equal(side.rating_counts, counts)


@pytest.mark.parametrize("fold", [0, 1])
def test_epochs_are_logged(reproduced, fold):
    rmse = logged(reproduced, fold, "rmse")
    assert len(rmse) == 12
    assert rmse[-1] == pytest.approx(reproduced.json(f"results/scores/{fold}.json")["rmse"])
    rates = [0.05 / (1 + 0.1 * t**1.5) for t in range(12)]
    assert logged(reproduced, fold, "learning_rate") == pytest.approx(rates, rel=1e-6)


def test_groups_and_bytes_are_logged_per_storage(reproduced):
    groups = {
        (side, storage): np.array(logged(reproduced, 0, f"groups/{side}/{storage}"))
        for side in ("users", "items")
        for storage in ("float32", "float16")
    }
    for side in ("users", "items"):
        total = groups[side, "float32"] + groups[side, "float16"]
        assert (total == total[0]).all()
        assert total[0] > 1
        assert (np.diff(groups[side, "float32"]) >= 0).all()  # promotion is one way
        assert groups[side, "float32"][0] == 0
    assert sum(groups[side, "float32"][-1] for side in ("users", "items")) > 0
    rows = [np.array(logged(reproduced, 0, f"bytes/float{bits}")) * 8 / bits for bits in (16, 32)]
    assert (rows[0] + rows[1] == 16 * (120 + 80)).all()


def test_q_errors_are_logged_for_measured_epochs(reproduced):
    rows = reproduced.json("dvclive/0/q_error.json")
    assert {row["epoch"] for row in rows} == {5, 7, 9}  # never the last one, 11
    assert {row["side"] for row in rows} == {"users", "items"}
    for row in rows:
        assert math.isfinite(row["q_error"])
        if row["epoch"] == 5:  # the first measurement is what later ones are compared with
            assert row["log2_growth"] == 0
            assert row["storage"] == "float16"
    promoted = {(row["side"], row["group"]) for row in rows if row["storage"] == "float32"}
    grown = {
        (row["side"], row["group"]) for row in rows if (row["log2_growth"] or 0) > math.log2(1.2)
    }
    assert promoted
    assert promoted <= grown


@pytest.mark.hardening
def test_biases_and_early_stopping_reach_the_results(workspace):
    workspace.set(
        train__method="fp32", train__schedule="linear", train__decay=None, train__epochs=40,
        train__learning_rate=0.1, train__biases=True, train__validation=0.2, train__patience=2,
    )  # fmt: skip
    workspace.dvc("repro")
    metrics = workspace.json("metrics.json")
    ran, trained, rmses = [], [], []
    for fold in (0, 1):
        validation = logged(workspace, fold, "validation_rmse")
        rmses.append(min(validation))
        trained.append(validation.index(rmses[-1]) + 1)
        ran.append(len(validation))
        test = logged(workspace, fold, "rmse")[trained[-1] - 1]
        # of the model that was kept, and evaluated with its biases
        assert test == pytest.approx(workspace.json(f"results/scores/{fold}.json")["rmse"])
    assert ran == [epochs + 2 for epochs in trained]
    assert max(ran) < 40
    assert metrics["epochs_trained"] == statistics.fmean(trained)
    assert metrics["validation_rmse_mean"] == pytest.approx(statistics.fmean(rmses))
    assert metrics["schedule"] == "linear"
    assert metrics["rmse_mean"] < metrics["rmse_bias_only"] * 1.1
    updates = [workspace.json(f"timings/{fold}.json")["updates"] for fold in (0, 1)]
    assert updates == [pytest.approx(epochs * 3200 * 0.8, rel=0.01) for epochs in ran]


def test_second_repro_runs_nothing(workspace):
    output = workspace.dvc("repro")
    assert stages_run(output) == []
    assert "Data and pipelines are up to date." in output


def test_training_is_silent_where_nobody_watches(workspace):
    done = workspace.stage("train", 1)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


class TestThisCheckout:
    """metrics.json as tracked: of the default parameters, whose data have a known floor."""

    metrics = Workspace(CHECKOUT, None).json("metrics.json")
    params = read_params(CHECKOUT / "params.yaml")

    def test_metrics_are_of_these_parameters(self):
        assert self.params.data.name == "synthetic"
        settings = self.params.train.plan().model_dump(mode="json")
        for name in ("method", *RESOLVED):
            assert self.metrics[name] == settings[name], name
        folds = {f"rmse_fold{fold}" for fold in self.params.folds}
        assert {name for name in self.metrics if name.startswith("rmse_fold")} == folds

    def test_training_comes_near_the_floor_and_far_below_biases(self):
        assert self.metrics["rmse_mean"] <= 1.12 * self.metrics["rmse_floor"]
        assert self.metrics["rmse_bias_only"] >= 1.18 * self.metrics["rmse_floor"]
