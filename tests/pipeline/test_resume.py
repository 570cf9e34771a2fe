"""A training stage that is cut short goes on when it runs again, and its outputs come out whole."""

import signal

from mascot_jax.mf.model_file import load_model
from pipeline.train import _say_what_is_kept
from tests.pipeline.workspace import stages_run

CHECKPOINT = "checkpoints/0.safetensors"


def outputs(workspace):
    """Path -> bytes of what the stage hands on."""
    files = [workspace.path("models/0.safetensors"), *workspace.path("dvclive/0").rglob("*")]
    return {path: path.read_bytes() for path in files if path.is_file()}


def remove_outputs(workspace):
    """As DVC does before it runs a stage."""
    for path in outputs(workspace):
        path.unlink()


def test_the_stage_goes_on_with_the_same_outputs(workspace, interrupt):
    workspace.set(
        run__checkpoint_every=2, train__validation=0.2, train__patience=12, train__biases=True
    )
    assert workspace.stage("train", "0").returncode == 0
    whole, timing = outputs(workspace), workspace.json("timings/0.json")
    assert len(whole) > 5
    assert not workspace.path(CHECKPOINT).exists()

    for number, epoch, status in ((signal.SIGKILL, 4, -9), (signal.SIGINT, 8, 130)):
        remove_outputs(workspace)
        interrupt(number, epoch)
        done = workspace.stage("train", "0")
        assert done.returncode == status, done.stderr
        assert not workspace.path("models/0.safetensors").exists()
        assert workspace.path(CHECKPOINT).exists()
    assert f"{CHECKPOINT}: going on after 4 epochs" in done.stderr
    assert "stopping after this epoch; once more: at once" in done.stderr
    assert "stopped: 9 epochs are kept: the same command goes on from there" in done.stderr
    assert "Traceback" not in done.stderr

    remove_outputs(workspace)
    interrupt()
    done = workspace.stage("train", "0")
    assert done.returncode == 0, done.stderr
    assert f"{CHECKPOINT}: going on after 9 epochs" in done.stderr
    assert outputs(workspace) == whole
    assert list(workspace.path("checkpoints").iterdir()) == []
    assert workspace.json("timings/0.json")["updates"] == timing["updates"]


def test_dvc_repro_after_a_kill(workspace, interrupt):
    workspace.set(train__seed=1, run__checkpoint_every=5, folds=[0])
    interrupt(signal.SIGKILL)
    assert workspace.try_dvc("repro").returncode != 0
    interrupt()
    done = workspace.try_dvc("repro")
    assert done.returncode == 0
    assert stages_run(done.stdout) == ["train@0", "evaluate@0", "summarize"]
    assert f"{CHECKPOINT}: going on after 5 epochs" in done.stderr
    resumed = outputs(workspace)
    assert workspace.stage("train", "0").returncode == 0
    assert outputs(workspace) == resumed
    assert workspace.run("git", "status", "--porcelain", "checkpoints").stdout == ""

    workspace.set(run__checkpoint_every=None)
    assert stages_run(workspace.dvc("repro")) == []


def test_a_checkpoint_that_does_not_fit_is_no_obstacle(workspace, interrupt):
    workspace.path("checkpoints").mkdir(exist_ok=True)
    workspace.path(CHECKPOINT).write_bytes(b"damaged")
    workspace.set(run__checkpoint_every=3)
    interrupt(signal.SIGKILL)
    done = workspace.stage("train", "0")
    assert done.returncode == -9
    assert f"{CHECKPOINT}: cut, damaged or not a checkpoint" in done.stderr
    assert "training starts from the beginning" in done.stderr
    interrupt()
    workspace.set(train__seed=5)
    done = workspace.stage("train", "0")
    assert done.returncode == 0, done.stderr
    assert "train.seed: 0 there, 5 here" in done.stderr
    assert "training starts from the beginning" in done.stderr
    assert load_model(workspace.path("models/0.safetensors")).settings.seed == 5


def test_without_checkpoints_nothing_is_kept(capsys):
    _say_what_is_kept(None)
    assert "nothing is kept, as run.checkpoint_every is null" in capsys.readouterr().err


def test_a_model_that_cannot_be_saved_costs_no_training(workspace):
    workspace.path("models/0.safetensors").unlink()
    workspace.path("models/1.safetensors").unlink()
    workspace.path("models").rmdir()
    workspace.path("models").symlink_to("/proc")
    done = workspace.stage("train", "0")
    assert done.returncode == 2, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "models/0.safetensors: cannot be written: " in errors[0]
    assert "Traceback" not in done.stderr

    workspace.path("models").unlink()
    done = workspace.stage("train", "0")
    assert done.returncode == 0, done.stderr
    assert "going on after 12 epochs" in done.stderr
