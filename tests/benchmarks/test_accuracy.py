"""The tables of ``benchmarks.accuracy``, and the trainings behind."""

import math

import numpy as np
import polars as pl
import pytest

from benchmarks.accuracy import VARIANTS, make_row, targets
from benchmarks.harness.folds import make_fold
from benchmarks.harness.trials import Outcome, Trial, run_trials
from mascot_jax.data.split import split_ratings
from mascot_jax.settings import SplitSettings

FP32 = {
    (0, 0): Outcome(0.850, {"float32": 1.0}, 1.0),
    (0, 1): Outcome(0.851, {"float32": 1.0}, 1.0),
    (1, 0): Outcome(0.870, {"float32": 1.0}, 1.0),
}
INT8 = {
    (0, 0): Outcome(0.851, {"int8-32": 0.4, "float16": 0.6}, 0.4125),
    (0, 1): Outcome(0.853, {"int8-32": 0.5, "float16": 0.5}, 0.390625),
    (1, 0): Outcome(0.873, {"int8-32": 0.5, "float16": 0.4, "float32": 0.1}, 0.440625),
}


def test_a_row_compares_trainings_of_the_same_fold_and_seed():
    row = make_row("mascot-int8", INT8, FP32)
    assert row["losses"] == pytest.approx([0.001, 0.002, 0.003])
    assert row["loss"]["mean"] == pytest.approx(0.002)
    assert row["loss"]["half_width"] == pytest.approx(0.001 * 4.302653 / math.sqrt(3), rel=1e-5)
    assert row["rmse"] == pytest.approx(0.859)
    assert row["relative_bytes"] == pytest.approx(0.414583, abs=1e-6)


def test_a_row_has_the_mean_traffic_of_every_storage_in_use():
    traffic = make_row("mascot-int8", INT8, FP32)["traffic"]
    assert list(traffic) == ["float32", "float16", "int8-32"]
    assert traffic == pytest.approx({"float32": 1 / 30, "float16": 0.5, "int8-32": 1.4 / 3})


def test_loss_and_bytes_of_int8_are_held_to_targets():
    rows = [make_row(name, INT8, FP32) for name in ("fp16, stochastic", "mascot-int8", "mascot")]
    found = targets(rows)
    assert [(t.name, t.bound, t.met) for t in found] == [
        ("fp16, stochastic: loss to fp32", 0.0003, False),
        ("mascot-int8: loss to fp32", 0.0008, False),
        ("mascot-int8: bytes", 0.42, True),
    ]


@pytest.fixture(scope="module")
def folds():
    rng = np.random.default_rng(0)
    ratings = {
        "user": rng.integers(0, 40, 2000),
        "item": rng.integers(0, 30, 2000),
        "rating": rng.integers(1, 6, 2000).astype(np.float32),
    }
    split = split_ratings(pl.DataFrame(ratings), SplitSettings(count=2))
    return {number: make_fold(split, number) for number in (0, 1)}


def test_trials_come_back_in_their_order_with_what_they_moved(folds):
    same = {"factors": 16, "epochs": 2}
    names = ("fp32", "int8")
    trials = [Trial(name, fold, {**VARIANTS[name], **same}) for name in names for fold in (0, 1)]
    outcomes = run_trials(trials, folds)
    assert [o.relative_bytes for o in outcomes] == [1.0, 1.0, 0.3125, 0.3125]
    assert len({o.rmse for o in outcomes}) == 4
    assert run_trials(trials[::-1], folds) == outcomes[::-1]
