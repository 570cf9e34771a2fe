"""The paper's settings on real ratings: MovieLens 1M, fold 0, k = 128, 50 epochs."""

import os

import numpy as np
import pytest

from mascot_jax.data.load import load_ratings
from mascot_jax.data.split import split_ratings
from mascot_jax.fit import fit
from mascot_jax.grouping import regroup
from mascot_jax.initial import initial_state
from mascot_jax.kernels import Execution
from mascot_jax.prediction import ColdRule
from mascot_jax.ratings import make_ratings
from mascot_jax.scoring import HeldOut
from mascot_jax.settings import DataSettings, SplitSettings, TrainSettings, validate
from mascot_jax.traffic import Traffic

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def outcomes(real_data):
    """Method -> (RMSE, share of FP16 traffic)."""
    source = str(real_data / "ml-1m.zip")
    raw = load_ratings(validate(DataSettings, {"name": "ml-1m", "source": source}))
    split = split_ratings(raw.frame, SplitSettings())
    train, test = split.fold != 0, split.fold == 0
    users = regroup(np.bincount(split.user[train], minlength=len(split.user_ids)), 100)
    items = regroup(np.bincount(split.item[train], minlength=len(split.item_ids)), 100)
    user_rows, item_rows = users.row_of[split.user], items.row_of[split.item]
    ratings = make_ratings(
        user_rows[train],
        item_rows[train],
        split.rating[train],
        len(split.user_ids),
        len(split.item_ids),
    )
    rule = ColdRule(float(split.rating[train].mean()), users.warm_rows, items.warm_rows)
    held_out = HeldOut(user_rows[test], item_rows[test], split.rating[test], rule)
    execution = Execution(len(os.sched_getaffinity(0)))

    def outcome(method):
        settings = validate(TrainSettings, {"method": method})
        traffic = Traffic(users.visits, items.visits)
        state = fit(
            initial_state(users.starts, items.starts, settings),
            ratings,
            settings,
            execution,
            lambda record, _: traffic.add_epoch(record.users.codes, record.items.codes),
        )
        totals = held_out.score(state.users, state.items, settings.factors, execution)
        return totals.rmse, traffic.shares.get("float16", 0.0)

    return {method: outcome(method) for method in ("fp32", "fp16", "mascot")}


def test_fp32_is_the_reference(outcomes):
    assert outcomes["fp32"][0] == pytest.approx(0.858, abs=0.002)


def test_fp16_rounded_to_nearest_loses_accuracy(outcomes):
    assert outcomes["fp16"][0] - outcomes["fp32"][0] == pytest.approx(0.011, abs=0.003)


def test_mascot_loses_less_with_most_traffic_in_fp16(outcomes):
    rmse, traffic = outcomes["mascot"]
    assert 0.0 < rmse - outcomes["fp32"][0] < 0.006
    assert 0.7 < traffic < 0.95
