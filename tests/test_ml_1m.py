"""The paper's settings on real ratings: MovieLens 1M, fold 0, k = 128, 50 epochs."""

import os

import pytest

from mascot_jax.kernels import Execution
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.traffic import Traffic
from tests.movielens import make_fold, read_ml_1m

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def outcomes(real_data):
    """Method -> (RMSE, share of FP16 traffic)."""
    fold = make_fold(read_ml_1m(real_data))
    execution = Execution(len(os.sched_getaffinity(0)))

    def outcome(method, **values):
        traffic = Traffic(fold.users.visits, fold.items.visits)
        rmse = fold.train(
            validate(TrainSettings, {"method": method} | values),
            execution,
            lambda record, _: traffic.add_epoch(record.users.codes, record.items.codes),
        )
        return rmse, traffic.shares.get("float16", 0.0)

    return {method: outcome(method) for method in ("fp32", "fp16", "mascot")} | {
        "deterministic": outcome("fp32", deterministic=True),
        "tuned": outcome("fp32", deterministic=True, recipe="tuned"),
    }


def test_fp32_is_the_reference(outcomes):
    assert outcomes["fp32"][0] == pytest.approx(0.858, abs=0.002)


def test_deterministic_training_is_as_good(outcomes):
    assert -0.002 < outcomes["deterministic"][0] - outcomes["fp32"][0] < 0.001


def test_the_tuned_recipe_is_better_than_the_papers(outcomes):
    assert outcomes["tuned"][0] < 0.840


def test_fp16_rounded_to_nearest_loses_accuracy(outcomes):
    assert outcomes["fp16"][0] - outcomes["fp32"][0] == pytest.approx(0.011, abs=0.003)


def test_mascot_loses_less_with_most_traffic_in_fp16(outcomes):
    rmse, traffic = outcomes["mascot"]
    assert 0.0 < rmse - outcomes["fp32"][0] < 0.006
    assert 0.7 < traffic < 0.95
