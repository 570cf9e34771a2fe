"""Several workers, in processes of their own: JAX must be told of devices before it starts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mascot_jax import ClickModel
from mascot_jax.errors import SettingsError
from tests.support.planted_clicks import planted
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
INT4 = {"workers": 2, "gradients": "int4", "preset": "int4", "learning_rate": 0.5}


def begin(*arguments):
    command = [sys.executable, "-m", "tests.dlrm.workers_program", *map(str, arguments)]
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "error"}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def end(*processes):
    """What each of the processes prints last."""
    try:
        found = [process.communicate(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, errors) in zip(processes, found, strict=True):
        assert process.returncode == 0, errors
    return [json.loads(out.splitlines()[-1]) for out, _ in found if out]


def test_workers_add_up():
    end(begin("layers,rows,sizes,steps"))


def test_rounded_gradients_train_and_resume_to_the_same_bytes(tmp_path):
    (found,) = end(begin("train", tmp_path, json.dumps(INT4)))
    assert found["history"][-1]["sent_bytes_per_step"] > 0
    assert found["history"][1]["train_log_loss"] < found["history"][0]["train_log_loss"]
    assert found["auc"] > 0.6
    name = tmp_path / "process-0"
    assert name.read_bytes() == name.with_name("process-0-resumed").read_bytes()


def join(task, folder):
    """What two processes print that do a task together."""
    arguments = f"join-{task}", folder, json.dumps(INT4), f"127.0.0.1:{free_port()}"
    return end(*(begin(*arguments, number) for number in (0, 1)))


@pytest.mark.hardening
def test_a_signal_to_one_process_ends_all(tmp_path):
    assert join("interrupted", tmp_path) == [{"epochs": 1}, {"epochs": 1}]


@pytest.mark.hardening
def test_processes_are_workers_too(tmp_path):
    found = join("train", tmp_path)
    assert found[0]["auc"] == found[1]["auc"] > 0.6
    files = [path.read_bytes() for path in sorted(tmp_path.glob("process-*"))]
    assert len(files) == 4
    assert len(set(files)) == 1


def test_too_few_devices_are_told_of_with_a_way_to_more():
    train, _ = planted(500)
    with pytest.raises(
        SettingsError, match=r"workers: 16: JAX has \d+ CPU device.*num_cpu_devices"
    ):
        ClickModel(workers=16, batch_size=64).fit(train)
