"""The paper's settings on real ratings: MovieLens 1M, fold 0, k = 128, 50 epochs."""

import os

import pytest

from mascot_jax.engine.kernels import Execution
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.tables.traffic import Traffic, relative_bytes
from tests.support.movielens import final_rmse, make_fold, read_ml_1m

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def outcomes(real_data):
    """Name -> (RMSE, shares of the row traffic)."""
    fold = make_fold(read_ml_1m(real_data))
    execution = Execution(len(os.sched_getaffinity(0)))

    def outcome(method, **values):
        settings = validate(TrainSettings, {"method": method, "deterministic": False} | values)
        traffic = Traffic(fold.users.visits, fold.items.visits, settings.plan().storages)
        rmse = final_rmse(
            fold.problem,
            settings,
            execution,
            lambda record, _: traffic.add_epoch(record.users.codes, record.items.codes),
        )
        return rmse, traffic.shares

    return {method: outcome(method) for method in ("fp32", "fp16", "mascot")} | {
        "deterministic": outcome("fp32", deterministic=True),
        "tuned": outcome("fp32", deterministic=True, recipe="tuned"),
        "stochastic": outcome("fp16", deterministic=True, rounding="stochastic"),
        "runs": outcome("fp16", deterministic=True, rounding="stochastic", order="runs"),
        "group-blocks": outcome("fp32", order="group-blocks"),
        "mascot-int8": outcome("mascot-int8", deterministic=True),
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
    assert 0.7 < traffic["float16"] < 0.95


def test_stochastic_rounding_loses_nothing(outcomes):
    assert outcomes["stochastic"][0] == pytest.approx(outcomes["deterministic"][0], abs=0.0006)


@pytest.mark.parametrize(("order", "most"), [("runs", 0.0015), ("group-blocks", 0.004)])
def test_other_orders_are_nearly_as_good(outcomes, order, most):
    assert outcomes[order][0] - outcomes["fp32"][0] < most


def test_int8_with_promotion_is_as_good_at_two_fifths_of_the_bytes(outcomes):
    rmse, traffic = outcomes["mascot-int8"]
    assert rmse - outcomes["deterministic"][0] < 0.0008
    assert relative_bytes(traffic, 128) < 0.43
