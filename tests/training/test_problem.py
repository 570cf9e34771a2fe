import dataclasses

import numpy as np
import pytest

from mascot_jax.base.biases import fit_biases
from mascot_jax.engine.layout import is_laid_out
from mascot_jax.engine.ratings import make_ratings
from mascot_jax.errors import DataError
from mascot_jax.settings import TrainSettings
from mascot_jax.settings.strength import strength
from mascot_jax.tables.groups import regroup
from mascot_jax.training.loop import train_state
from mascot_jax.training.problem import make_problem
from tests.support.worlds import ONE, live_rows, prepared
from tests.training.test_training import plan, planted


def world(users, items, values=None, counts=None):
    """Ratings of these rows as they are, and groups."""
    counts = counts or (max(users) + 1, max(items) + 1)
    values = np.arange(1, len(users) + 1) if values is None else values
    ids = np.array(users, np.uint32), np.array(items, np.uint32)
    groups = (regroup(np.bincount(x, minlength=n), 2) for x, n in zip(ids, counts, strict=True))
    return make_ratings(*ids, np.array(values, np.float32), *counts), *groups


def pairs(ratings):
    return list(zip(*(column.tolist() for column in ratings.host()), strict=True))


def validation_pairs(made):
    (chunk,) = made.validation._chunks
    columns = (chunk.user_rows, chunk.item_rows, chunk.ratings)
    return list(zip(*(np.asarray(x)[: chunk.used].tolist() for x in columns), strict=True))


def test_ratings_are_judged_only_for_what_is_left_to_them():
    ratings, *groups = world([0, 0, 1, 1], [0, 1, 0, 1])
    problem = make_problem(ratings.host(), *groups)
    given = {"learning_rate": 0.01, "user_reg": 0.02, "item_reg": 0.03}
    said = TrainSettings(recipe="tuned", **given)
    assert problem.judged(said).decided is None
    assert problem.plan(said, "cpu") == problem._replace(decided=strength(1.0)).plan(said, "cpu")
    for name in given:
        left = TrainSettings(recipe="tuned", **given | {name: None})
        decided = problem.judged(left).decided
        assert decided == problem.strength(0.0)
        assert getattr(problem.plan(left, "cpu"), name) == getattr(decided, name)


def test_a_problem_has_rows_where_there_were_indices():
    users, items = regroup(np.array([1, 3]), 2), regroup(np.array([4]), 1)

    def make(**bounds):
        train = np.array([0, 1, 1, 1], np.uint32), np.zeros(4, np.uint32), np.float32([1, 2, 3, 5])
        test = np.array([1, 0], np.uint32), np.zeros(2, np.uint32), np.float32([4, 9])
        return make_problem(train, users, items, test=test, **bounds)

    problem = make()
    assert pairs(problem.ratings) == [(1, 0, 1), (0, 0, 2), (0, 0, 3), (0, 0, 5)]
    assert [column.tolist() for column in problem.test] == [[0, 1], [0, 0], [4, 9]]
    assert (problem.low, problem.high) == (1, 5)
    problem = make(low=0.5, high=10)
    assert (problem.low, problem.high) == (0.5, 10)


def test_without_validation_and_biases_the_ratings_are_only_laid_out():
    ratings, users, items = planted()
    made = prepared(ratings, users, items, plan())
    assert pairs(made.ratings) == pairs(ratings)
    assert made.validation is None
    assert made.rule.biases is None
    assert made.rule.mean_rating == pytest.approx(float(ratings.ratings.mean()))
    made = prepared(ratings, users, items, plan(deterministic=True))
    assert is_laid_out(made.ratings, made.plan)
    assert pairs(made.ratings) != pairs(ratings)
    assert sorted(pairs(made.ratings)) == sorted(pairs(ratings))


def test_the_last_share_is_held_out():
    made = prepared(*world([0, 1, 0, 1, 0, 1, 0, 1], [0] * 8), plan(validation=0.25))
    assert pairs(made.ratings) == [(k % 2, 0, k + 1.0) for k in range(6)]
    assert validation_pairs(made) == [(0, 0, 7.0), (1, 0, 8.0)]
    assert made.rule.mean_rating == 3.5  # of what is trained on


def test_rows_without_earlier_ratings_stay_in_training():
    """User 2 and item 1 are rated in the held-out share only."""
    made = prepared(
        *world([0, 1, 0, 1, 2, 0, 1, 2], [0, 0, 0, 0, 0, 1, 0, 1]), plan(validation=0.5)
    )
    assert [rating for *_, rating in pairs(made.ratings)] == [1, 2, 3, 4, 5, 6, 8]
    assert validation_pairs(made) == [(1, 0, 7.0)]


@pytest.mark.parametrize("share", [1e-9, 0.999999])
def test_a_share_that_leaves_nothing_on_one_side_is_refused(share):
    with pytest.raises(DataError, match=r"train\.validation: .* leaves no rating of 4 "):
        prepared(*world([0, 1, 0, 1], [0, 0, 1, 1]), plan(validation=share))


def test_biases_are_fitted_to_what_is_trained_on_and_taken_from_it():
    ratings, users, items = planted()
    made = prepared(ratings, users, items, plan(validation=0.25, biases=True))
    u, i, r = (column[:3000] for column in ratings.host())
    mean = float(r.mean(dtype=np.float64))
    fitted = fit_biases(u, i, r, 60, 40, mean=mean)
    for bias, expected in zip(made.rule.biases, fitted, strict=True):
        assert bias.dtype == np.float32
        np.testing.assert_array_equal(bias, expected.astype(np.float32))
    remainder = r - made.rule.offset(u, i)
    np.testing.assert_array_equal(made.ratings.host()[2], remainder)
    assert np.abs(remainder).mean() < np.abs(r - mean).mean()


def noisy():
    """Ratings with noise that factors can learn by heart."""
    ratings, users, items = planted()
    noise = np.random.default_rng(5).normal(0, 0.5, len(ratings)).astype(np.float32)
    return dataclasses.replace(ratings, ratings=ratings.ratings + noise), users, items


def train(world=None, **values):
    """Validation RMSE and user factors after each epoch, and the state that training returns."""
    seen = []
    state = train_state(
        prepared(*(world or noisy()), plan(method="fp32", **values)),
        ONE,
        lambda record, state: seen.append((record.validation_rmse, live_rows(state.users))),
    )
    return [rmse for rmse, _ in seen], [rows for _, rows in seen], state


def test_each_epoch_is_scored_on_what_was_held_out():
    rmses, _, state = train(validation=0.25)
    assert len(rmses) == 12
    ratings, *_ = noisy()
    u, i, r = (column[3000:] for column in ratings.host())
    dots = (live_rows(state.users)[u] * live_rows(state.items)[i]).sum(axis=1)
    assert rmses[-1] == pytest.approx(float(np.sqrt(np.mean((dots - r) ** 2))), rel=1e-5)
    assert train()[0] == [None] * 12


OVERFITTED = dict(  # noqa: C408  keywords of train
    validation=0.5, epochs=60, learning_rate=0.1, decay=0.0, user_reg=0.0, item_reg=0.0
)


@pytest.mark.parametrize("deterministic", [False, True])
def test_training_stops_early_with_the_best_epochs_state(deterministic):
    values = OVERFITTED | {"patience": 3, "deterministic": deterministic}
    rmses, rows, state = train(**values)
    best = int(np.argmin(rmses))
    assert best > 0
    assert len(rmses) == best + 4 < 60
    assert int(state.epoch) == best + 1
    np.testing.assert_array_equal(live_rows(state.users), rows[best])
    assert train(**values)[0] == rmses


def test_without_patience_the_last_epochs_state_is_kept():
    rmses, rows, state = train(**OVERFITTED)
    assert len(rmses) == 60
    assert np.argmin(rmses) < 50
    np.testing.assert_array_equal(live_rows(state.users), rows[-1])


def test_biases_need_few_ratings_where_factors_need_many():
    rng = np.random.default_rng(3)
    u, i = rng.integers(0, 300, 1500), rng.integers(0, 80, 1500)
    values = 3 + rng.normal(0, 1, 300)[u] + rng.normal(0, 1, 80)[i]
    few = world(u, i, values, (300, 80))
    with_biases, without = (
        min(train(few, validation=0.2, epochs=30, biases=biases)[0]) for biases in (True, False)
    )
    assert with_biases < 0.8 * without
