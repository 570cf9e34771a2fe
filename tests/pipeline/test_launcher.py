"""The training stage under a launcher: the outputs of one process, and one end for all."""

import os
import shlex
import signal
import subprocess
import sys

import jax
import pytest
from ruamel.yaml import YAML

from mascot_jax.distributed.workers import Workers
from mascot_jax.engine.cores import usable_cores
from mascot_jax.errors import SettingsError
from pipeline.common.launcher import VARIABLE, hand_over
from pipeline.common.stage import read_params
from pipeline.train import _train_fold
from tests.pipeline.test_resume import CHECKPOINT, outputs, remove_outputs
from tests.pipeline.workspace import CHECKOUT, assert_refused, stages_run

HAND_OVER = "from pipeline.common.launcher import hand_over; hand_over('pipeline.train', 3); 1 / 0"


def launcher(count):
    path = CHECKOUT / "tests" / "support" / "launcher.py"
    return shlex.join([sys.executable, str(path), str(count)])


def lock(workspace):
    """dvc.lock but for times, which differ on every run."""
    found = YAML(typ="safe").load(workspace.path("dvc.lock"))
    outs = found["stages"]["summarize"]["outs"]
    assert "timings.json" in {out["path"] for out in outs}
    found["stages"]["summarize"]["outs"] = [o for o in outs if o["path"] != "timings.json"]
    return found


def test_a_shared_stage_leaves_the_outputs_of_one_process(workspace, monkeypatch):
    """By one worker, in this process; by two processes below."""
    workspace.set(run__checkpoint_every=5)
    before = outputs(workspace)
    remove_outputs(workspace)
    monkeypatch.chdir(workspace.root)
    workers = Workers((jax.local_devices(backend="cpu")[0],))
    assert _train_fold(read_params(), 0, workers) == 0
    assert outputs(workspace) == before
    assert list(workspace.path("checkpoints").iterdir()) == []


@pytest.mark.hardening
def test_two_processes_leave_the_outputs_of_one(workspace, monkeypatch):
    before = outputs(workspace)
    remove_outputs(workspace)
    monkeypatch.setenv(VARIABLE, launcher(2))
    done = workspace.stage("train", "0")
    assert done.returncode == 0, done.stderr
    assert outputs(workspace) == before
    assert list(workspace.path("checkpoints").iterdir()) == []
    threads = max(1, usable_cores() // 2)  # of each
    assert workspace.json("timings/0.json")["threads"] == 2 * threads


def test_the_launcher_takes_the_place_of_the_stage():
    environment = os.environ | {VARIABLE: "sh -c 'echo $0 $@ \"$$\"; exit 7' 'of two words'"}
    stage = subprocess.Popen(
        [sys.executable, "-c", HAND_OVER],
        env=environment, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    out, _ = stage.communicate()
    started = f"{sys.executable} -m pipeline.train 3 --distributed"
    assert (out, stage.returncode) == (f"of two words {started} {stage.pid}\n", 7)


@pytest.mark.parametrize("value", [None, "", "  "])
def test_without_a_launcher_the_stage_goes_on(monkeypatch, value):
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    assert hand_over("pipeline.train", 3) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("no-such-launcher -n 2", "MASCOT_LAUNCHER: no-such-launcher: cannot be started"),
        ("/ -n 2", "Permission denied"),
        ("srun 'n", "No closing quotation: give a launcher with its arguments"),
    ],
)
def test_what_is_no_launcher_is_refused(monkeypatch, value, words):
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(SettingsError, match=words):
        hand_over("pipeline.train", 3)


@pytest.mark.hardening
def test_dvc_repro_leaves_the_lock_file_of_one_process(workspace, tmp_path, monkeypatch):
    workspace.set(train__seed=1, train__method="mascot-int8", train__validation=0.2)
    shared = workspace.copy(tmp_path / "shared")
    workspace.dvc("repro")
    monkeypatch.setenv(VARIABLE, launcher(2))
    said = shared.dvc("repro")
    assert {"train@0", "train@1"} <= set(stages_run(said))
    assert shared.json("timings.json")["threads"] == 2 * max(1, usable_cores() // 2)
    assert lock(shared) == lock(workspace)
    assert outputs(shared).keys() == {
        shared.root / path.relative_to(workspace.root) for path in outputs(workspace)
    }
    assert shared.run("git", "status", "--porcelain", "checkpoints").stdout == ""
    monkeypatch.delenv(VARIABLE)
    assert stages_run(shared.dvc("repro")) == []


@pytest.mark.hardening
def test_dvc_repro_goes_on_after_a_signal_by_another_number(
    workspace, interrupt, tmp_path, monkeypatch
):
    workspace.set(train__seed=1, run__checkpoint_every=5, folds=[0])
    whole = workspace.copy(tmp_path / "whole")
    whole.dvc("repro")
    monkeypatch.setenv(VARIABLE, launcher(2))
    interrupt(signal.SIGTERM, 6)  # to the first process, which writes the log
    done = workspace.try_dvc("repro")
    assert done.returncode != 0
    assert "exited with 143" in done.stderr
    assert "stopped: 7 epochs are kept: the same command goes on from there" in done.stderr
    assert "Traceback" not in done.stderr
    assert workspace.path(CHECKPOINT).exists()
    assert len(list(workspace.path(f"{CHECKPOINT}.parts").iterdir())) == 2
    interrupt()
    monkeypatch.setenv(VARIABLE, launcher(3))
    done = workspace.try_dvc("repro")
    assert done.returncode == 0, done.stderr
    assert f"{CHECKPOINT}: going on after 7 epochs" in done.stderr
    assert lock(workspace) == lock(whole)
    assert list(workspace.path("checkpoints").iterdir()) == []


@pytest.mark.hardening
@pytest.mark.parametrize("killed", [0, 1])
def test_a_process_that_dies_fails_the_stage(workspace, monkeypatch, killed):
    path = workspace.path("pipeline/train.py")
    source = path.read_text(encoding="utf-8")
    line = "            records.append(record)\n"
    assert source.count(line) == 1
    dies = f"            if os.environ['RANK'] == '{killed}' and record.epoch == 6:\n"
    dies += "                os.kill(os.getpid(), 9)\n"
    path.write_text(source.replace(line, line + dies), encoding="utf-8")
    workspace.set(run__checkpoint_every=2)
    before = outputs(workspace)
    remove_outputs(workspace)
    monkeypatch.setenv(VARIABLE, launcher(2))
    done = workspace.stage("train", "0")
    assert done.returncode != 0
    assert "another process of this training has ended" in done.stderr
    assert "Traceback" not in done.stderr
    path.write_text(source, encoding="utf-8")
    monkeypatch.delenv(VARIABLE)
    done = workspace.stage("train", "0")
    assert f"{CHECKPOINT}: going on after 6 epochs" in done.stderr
    assert outputs(workspace) == before


@pytest.mark.hardening
def test_what_cannot_be_shared_is_refused_in_one_line_each(workspace, monkeypatch):
    workspace.set(train__deterministic=False)
    monkeypatch.setenv(VARIABLE, launcher(2))
    done = workspace.stage("train", "0")
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 2
    assert all("only a deterministic training can be shared" in line for line in lines)
    assert "Traceback" not in done.stderr


@pytest.mark.hardening
def test_a_launcher_that_is_not_there_stops_the_stage(workspace, monkeypatch):
    monkeypatch.setenv(VARIABLE, "no-such-launcher")
    done = workspace.stage("train", "0")
    assert_refused(done, "MASCOT_LAUNCHER: no-such-launcher: cannot be started", "unset")
