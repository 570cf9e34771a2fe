"""``dvc repro clicks/dvc.yaml``, from planted rows to metrics."""

import pytest
from ruamel.yaml import YAML

from mascot_jax.clicks.store import read_part
from mascot_jax.settings import validate
from mascot_jax.settings.click_params import ClickParams
from tests.pipeline.workspace import CHECKOUT, assert_refused, stages_run

PIPELINE = "clicks/dvc.yaml"
SMALL = {
    "data": {"rows": 20_000, "scale": 5000},
    "encode": {"min_count": 3},
    "train": {"bottom": [16], "top": [16], "epochs": 2},
}


def change(workspace, **blocks):
    yaml, path = YAML(), workspace.path("clicks/params.yaml")
    params = yaml.load(path)
    for name, values in blocks.items():
        params[name].update(values)
    yaml.dump(params, path)


@pytest.fixture(scope="module")
def trained(fresh, tmp_path_factory):
    """A repository after ``dvc repro``, and what DVC said."""
    workspace = fresh.copy(tmp_path_factory.mktemp("clicks") / "repository")
    change(workspace, **SMALL)
    return workspace, workspace.dvc("repro", PIPELINE)


@pytest.fixture
def clean(fresh, tmp_path):
    """A repository in which nothing has run, for one test to change."""
    workspace = fresh.copy(tmp_path / "repository")
    change(workspace, **SMALL)
    return workspace


def test_all_stages_run_once_and_then_none(trained):
    workspace, output = trained
    names = [name.rpartition(":")[2] for name in stages_run(output)]
    assert names == ["download", "encode", "train", "evaluate"]
    assert stages_run(workspace.dvc("repro", PIPELINE)) == []
    assert not workspace.path("clicks/checkpoint.safetensors").exists()


def test_metrics_and_epochs(trained):
    workspace, _ = trained
    metrics = workspace.json("clicks/results/metrics.json")
    assert metrics["rows"] == 2000
    assert metrics["log_loss"] < metrics["log_loss_of_mean"]
    assert metrics["best_auc"] > metrics["auc"] > 0.5
    assert 0 < metrics["table_bytes_deployed"] <= metrics["table_bytes_training"]
    epochs = workspace.json("clicks/results/epochs.json")
    assert [record["epoch"] for record in epochs] == [1, 2]
    assert {"validation_auc", "validation_log_loss", "train_log_loss"} <= set(epochs[0])
    assert "seconds" not in epochs[0]
    report = workspace.json("clicks/data/report.json")
    assert report["train"]["rows"] == len(read_part(workspace.path("clicks/data/encoded"), "train"))


def test_a_wrong_parameter_stops_before_any_work(clean):
    change(clean, train={"preset": "int5"})
    assert_refused(clean.stage("clicks.download"), "train.preset: 'int5': must be 'fp32'")
    assert not clean.path("clicks/data").exists()


def test_a_set_that_cannot_be_fetched_says_what_to_fetch(clean):
    change(clean, data={"name": "criteo"})
    assert_refused(clean.stage("clicks.download"), "data.source: not set", "ailab.criteo.com")


def test_defaults_of_the_file_are_those_of_the_settings_but_for_small_layers():
    given = YAML(typ="safe").load(CHECKOUT / "clicks/params.yaml")
    layers = {name: given["train"].pop(name) for name in ("bottom", "top")}
    assert layers == {"bottom": [128, 64], "top": [128]}
    assert validate(ClickParams, given) == ClickParams()
    for name, block in ClickParams():
        assert {*given[name], *layers} >= set(type(block).model_fields)
