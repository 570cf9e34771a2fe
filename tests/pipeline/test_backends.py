"""``run.backend`` at the stages, on a machine whose JAX has no GPU."""

import dataclasses

import pytest

from mascot_jax.mf.model_file import load_model, save_model
from tests.pipeline.workspace import assert_refused

MODEL = "models/0.safetensors"
SCORES = "results/scores/0.json"


@pytest.fixture(autouse=True)
def _without_a_gpu(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")


def test_cuda_that_cannot_be_used_stops_the_training(workspace):
    before = workspace.path(MODEL).read_bytes()
    workspace.set(run__backend="cuda")
    assert_refused(workspace.stage("train", 0), "the cuda back end cannot be used: ")
    assert workspace.path(MODEL).read_bytes() == before


def test_auto_trains_on_the_cpu_without_a_word(workspace):
    factors = load_model(workspace.path(MODEL)).users.table.stored
    workspace.set(run__backend="auto")
    done = workspace.stage("train", 0)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    timing = workspace.json("timings/0.json")
    assert timing["backend"] == "cpu"
    again = load_model(workspace.path(MODEL)).users.table.stored
    assert all((again[name] == rows).all() for name, rows in factors.items())


def test_cuda_is_refused_for_what_it_cannot_do_before_any_work(workspace):
    workspace.set(run__backend="cuda", train__deterministic=True)
    line = "run.backend: 'cuda': cuda has no train.deterministic: set run.backend to cpu or auto"
    assert_refused(workspace.stage("download"), line)


def test_a_model_of_a_gpu_is_scored_without_one(workspace):
    before = workspace.json(SCORES)
    model = load_model(workspace.path(MODEL))
    settings = model.settings.model_copy(update={"deterministic": False})
    save_model(dataclasses.replace(model, settings=settings), workspace.path(MODEL))
    done = workspace.stage("evaluate", 0)
    assert (done.returncode, done.stderr) == (0, "")
    after = workspace.json(SCORES)
    assert after["settings"]["deterministic"] is False
    for name in ("rmse", "mae", "ratings", "cold_ratings"):
        assert after[name] == before[name]


def test_ratings_on_disk_train_the_same_model(workspace, tmp_path):
    before = workspace.path(MODEL).read_bytes()
    workspace.set(run__scratch=str(tmp_path / "scratch"))
    done = workspace.stage("train", 0)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert workspace.path(MODEL).read_bytes() == before
    assert list((tmp_path / "scratch").iterdir()) == []
