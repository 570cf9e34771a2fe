"""A training by several workers leaves the bits of one."""

import json
import os
import subprocess
import sys
from collections import defaultdict

import jax
import numpy as np
import pytest

from mascot_jax.distributed.workers import Workers
from mascot_jax.engine.kernels import Execution
from mascot_jax.errors import SettingsError
from mascot_jax.settings import TrainSettings
from mascot_jax.training.loop import train_state
from mascot_jax.training.problem import prepare
from tests.support.shared import CASES, problem


def trainings(*arguments, devices):
    """Trainings in a process with so many CPU devices; what it prints last."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    result = subprocess.run(
        [sys.executable, "-m", "tests.support.shared", *arguments],
        env=os.environ | {"XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    *found, last = map(json.loads, result.stdout.splitlines())
    return found, last


def assert_one_digest(found, expected):
    """Of each case and shape there are so many trainings, alike; those that measure switch."""
    digests = defaultdict(list)
    for each in found:
        digests[each["case"], each["shape"]].append(each["digest"])
        assert (each["changed"] > 0) == each["case"].startswith("mascot"), each
    assert {len(those) for those in digests.values()} <= expected
    assert {key: len(set(those)) for key, those in digests.items()} == dict.fromkeys(digests, 1)


def test_two_and_three_workers_leave_the_bits_of_one():
    found, last = trainings(
        "--workers", "0", "2", "3", "--cases", "mascot-int8", "tuned", "mascot, rotations",
        "--shapes", "more users", "--on-disk", "3", devices=3,
    )  # fmt: skip
    assert len(found) == 9
    assert_one_digest(found, {3})
    assert last == {"in_place": True}


def assert_as_gpus(found, trainings):
    """What GPUs run has the bits of one process; only sums of what is measured are added otherwise.

    Its kernel here is the CPU's, in order: all else is what GPUs run, or stays on the host.
    """
    exact = [each for each in found if not each["case"].startswith("mascot")]
    assert_one_digest(exact, {trainings})
    measured = [each for each in found if each["case"].startswith("mascot")]
    assert all(each["changed"] > 0 for each in measured)
    for shape in {each["shape"] for each in measured}:
        rmse = [each["rmse"] for each in measured if each["shape"] == shape]
        assert len(rmse) == trainings
        assert np.ptp(rmse) < 1e-3


def test_the_program_of_gpus_leaves_the_bits_of_one_process_where_nothing_races():
    found, _ = trainings(
        "--workers", "0", "--races", "2", "--cases", "rotations", "--shapes", "more users",
        devices=2,
    )  # fmt: skip
    assert_as_gpus(found, 2)


@pytest.mark.hardening
def test_any_number_of_gpus_does():
    cases = [name for name in CASES if "rotations" in name]
    found, _ = trainings(
        "--workers", "0", "--races", "1", "2", "3", "4", "8", "--cases", *cases, "--shapes",
        "more users", "more items", devices=8,
    )  # fmt: skip
    assert_as_gpus(found, 6)


@pytest.mark.hardening
def test_any_number_of_workers_leaves_the_bits_of_one():
    found, _ = trainings("--workers", "0", "1", "2", "3", "4", "8", devices=8)
    assert {each["case"] for each in found} == set(CASES)
    assert_one_digest(found, {5, 6})  # of five users, no more than five workers have ranges


def one_device():
    return Workers((jax.local_devices(backend="cpu")[0],))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"deterministic": False}, "only a deterministic training"),
        ({"order": "group-blocks"}, "cannot share train.order group-blocks"),
        ({"objective": "interactions"}, "cannot share train.objective interactions"),
        ({"method": "muppet"}, "cannot share train.method muppet"),
        ({"method": "afp"}, "cannot share train.method afp"),
        ({"pruning": {"method": "project", "factors": 2}}, "cannot share train.pruning project"),
    ],
)
def test_what_cannot_be_shared_is_refused(values, words):
    made = problem(20, 10, 200)
    plan = made.plan(TrainSettings(**{"factors": 4, "deterministic": True} | values), "cpu")
    with pytest.raises(SettingsError, match=words):
        train_state(prepare(made, plan, Execution()), Execution(), workers=one_device())


def test_more_workers_than_ranges_are_refused():
    made = problem(3, 2, 50)
    plan = made.plan(TrainSettings(factors=4, deterministic=True), "cpu")
    workers = Workers(one_device().devices * 4)
    with pytest.raises(SettingsError, match="4 processes are more than there are ranges"):
        train_state(prepare(made, plan, Execution()), Execution(), workers=workers)
