"""Folding in users of real ratings: MovieLens 100K, a fifth of whose users training never saw."""

import numpy as np
import pytest

from mascot_jax.data.load import load_ratings
from mascot_jax.data.split import split_ratings
from mascot_jax.mf.fold_in import fold_in
from mascot_jax.settings import DataSettings, SplitSettings, TrainSettings, validate
from mascot_jax.tables.groups import regroup
from mascot_jax.training.loop import train_state
from mascot_jax.training.problem import make_problem, prepare
from tests.support.worlds import ONE, live_rows

pytestmark = pytest.mark.realdata

PLAN = validate(
    TrainSettings,
    {
        "method": "fp32",
        "recipe": "paper",  # ratings as they are, and no biases
        "epochs": 32,
        "schedule": "linear",
        "learning_rate": 0.015,
        "user_reg": 0.05,
        "item_reg": 0.035,
        "factors": 32,
        "deterministic": True,
    },
).plan()


def train(split, used):
    """Factors of users and items, by index, from the ratings that are used."""
    counts = len(split.user_ids), len(split.item_ids)
    users = regroup(np.bincount(split.user[used], minlength=counts[0]), 20)
    items = regroup(np.bincount(split.item[used], minlength=counts[1]), 20)
    columns = tuple(column[used] for column in (split.user, split.item, split.rating))
    state = train_state(prepare(make_problem(columns, users, items), PLAN, ONE), ONE)
    return live_rows(state.users)[users.row_of], live_rows(state.items)[items.row_of]


def test_users_folded_in_are_predicted_as_well_as_trained_ones(real_data):
    source = str(real_data / "ml-100k.zip")
    raw = load_ratings(validate(DataSettings, {"name": "ml-100k", "source": source}))
    split = split_ratings(raw.frame, SplitSettings())
    user, item, rating = split.user, split.item, split.rating
    test, new = split.fold == 0, user % 5 == 0
    seen = np.bincount(item[~test & ~new], minlength=len(split.item_ids)) > 0
    scored = test & new & seen[item]

    def rmse(users, items):
        errors = (users[user[scored]] * items[item[scored]]).sum(axis=1) - rating[scored]
        return float(np.sqrt(np.mean(errors**2)))

    trained = rmse(*train(split, ~test))
    _, items = train(split, ~test & ~new)
    given = np.flatnonzero(~test & new & seen[item])
    given = given[np.argsort(user[given], kind="stable")]
    starts = np.cumsum([0, *np.bincount(user[given], minlength=len(split.user_ids))])
    folded = rmse(fold_in(items, starts, item[given], rating[given], PLAN.user_reg), items)
    assert trained < 0.92
    assert 0 < folded - trained < 0.015
