"""Ratings of any scale: the same model, in other units."""

import dataclasses
import json
import warnings

import numpy as np
import pytest

from mascot_jax import MatrixFactorization
from mascot_jax.base.biases import DEFAULT_DAMPING, Damping
from mascot_jax.base.tensor_file import stated_facts
from mascot_jax.base.units import IN_OWN_UNITS, Units
from mascot_jax.errors import BaselineWarning, RatingsWarning
from mascot_jax.mf.model_file import FORMAT, load_model, save_model

SMALL = {"factors": 8, "threads": 1}


def make_stars(count=3000, seed=0):
    """Stars of planted biases and factors, with noise: users, items, ratings."""
    rng = np.random.default_rng(seed)
    u, i = np.divmod(rng.permutation(90 * 60)[:count], 60)
    p, q = rng.normal(size=(90, 3)), rng.normal(size=(60, 3))
    r = 3.6 + rng.normal(0, 0.5, 90)[u] + rng.normal(0, 0.5, 60)[i] + 0.4 * (p[u] * q[i]).sum(1)
    return u, i, np.clip(np.rint(r + rng.normal(0, 0.5, count)), 1, 5)


USERS, ITEMS, STARS = make_stars()
TEST = np.arange(3000) % 10 == 0
SCALES = [(0.02, 0), (1, 2000), (-3, 7)]


def columns(ratings, chosen):
    return USERS[chosen], ITEMS[chosen], ratings[chosen]


def learn(ratings, **more):
    return MatrixFactorization(**SMALL | more).fit(columns(ratings, ~TEST))


@pytest.fixture(scope="module")
def stars():
    return learn(STARS)


@pytest.mark.parametrize("method", ["fp32", "mascot-int8", "muppet"])
def test_every_method_learns_alike_on_any_scale(method):
    usual = learn(STARS, method=method).evaluate(columns(STARS, TEST))
    for a, b in SCALES[1:3]:
        other = a * STARS + b
        found = learn(other, method=method).evaluate(columns(other, TEST))
        for name in ("rmse", "mae", "rmse_of_mean", "rmse_of_biases"):
            assert found[name] == pytest.approx(abs(a) * usual[name], rel=1e-3), (a, b)


@pytest.mark.parametrize(("a", "b"), SCALES)
def test_everything_else_follows(stars, a, b, tmp_path):
    """Scores, lists, new users, further ratings, exports and files are in the ratings' units."""
    other = learn(a * STARS + b)
    near = {"rtol": 1e-3, "atol": 2e-3 * abs(a)}
    for user in (3, 10**6):  # the second one is unknown
        expected = a * stars.predict(user, np.arange(60)) + b
        np.testing.assert_allclose(other.predict(user, np.arange(60)), expected, **near)
        found = other.recommend(user, 5)
        np.testing.assert_allclose(other.predict(user, found.items), found.scores, **near)
    rated = [1, 2, 3], np.array([1.0, 5.0, 4.0])
    new, same = (
        model.fold_in_user(rated[0], ratings)
        for model, ratings in ((other, a * rated[1] + b), (stars, rated[1]))
    )
    np.testing.assert_allclose(new.predict([7, 9]), a * same.predict([7, 9]) + b, **near)
    found = new.recommend(3)
    np.testing.assert_allclose(new.predict(found.items), found.scores, **near)
    more = make_stars(400, seed=5)
    again, usual = learn(a * STARS + b), learn(STARS)
    again.partial_fit((*more[:2], a * more[2] + b))
    usual.partial_fit(more)
    np.testing.assert_allclose(
        again.predict(USERS[:50], ITEMS[:50]), a * usual.predict(USERS[:50], ITEMS[:50]) + b, **near
    )
    other.export(tmp_path)
    p, q = (np.load(tmp_path / f"{name}.npy") for name in ("users", "items"))
    expected = other.predict(other.user_ids_[:, None], other.item_ids_)
    np.testing.assert_allclose(p @ q.T, expected, **near)
    other.save(tmp_path / "model")
    loaded = MatrixFactorization.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(3, np.arange(60)), other.predict(3, np.arange(60)))
    assert loaded.model_.units == other.model_.units
    clipped = other.predict(USERS, ITEMS, clip=True)
    low, high = np.float32(sorted((a + b, 5 * a + b)))
    assert low <= clipped.min() < clipped.max() <= high


def test_it_is_better_than_the_mean_and_biases(stars):
    found = stars.evaluate(columns(STARS, TEST))
    assert found["rmse"] < found["rmse_of_biases"] < found["rmse_of_mean"]
    mean = STARS[~TEST].mean()
    assert found["rmse_of_mean"] == pytest.approx(np.sqrt(((STARS[TEST] - mean) ** 2).mean()))


def test_models_without_biases_hold_some_to_compare_with(tmp_path):
    model = learn(STARS, recipe="paper", biases=False, learning_rate=0.05)
    assert model.model_.biases is None
    model.save(tmp_path / "model")
    loaded = MatrixFactorization.load(tmp_path / "model")
    expected = learn(STARS).evaluate(columns(STARS, TEST))["rmse_of_biases"]
    for one in (model, loaded):
        found = one.evaluate(columns(STARS, TEST))["rmse_of_biases"]
        assert found == pytest.approx(expected, rel=2e-3)


def test_a_model_that_is_worse_than_no_model_says_so(stars):
    with pytest.warns(BaselineWarning, match="worse than that of the mean rating .* biases alone"):
        stars.evaluate(columns(STARS[::-1], TEST))
    with pytest.warns(BaselineWarning, match="worse"):
        learn(STARS, learning_rate=1e-6, biases=False).evaluate(columns(STARS, TEST))


def test_one_wild_rating_is_named_and_does_no_harm(stars):
    wild = STARS.copy()
    wild[11] = 1e4
    row = int((~TEST)[:11].sum())
    with pytest.warns(RatingsWarning, match=rf"row {row} \(counted from 0\) is 10000.*as 13"):
        model = learn(wild)
    usual = stars.evaluate(columns(STARS, TEST))["rmse"]
    assert model.evaluate(columns(STARS, TEST))["rmse"] < 1.05 * usual
    with pytest.warns(RatingsWarning, match=r"row 1 \(counted from 0\) is 1e\+06"):
        learn(STARS).partial_fit(([1, 2], [3, 4], [4.0, 1e6]))


@pytest.mark.parametrize("biases", [None, False])
def test_a_wild_rating_does_no_harm_to_a_training_that_starts_from_a_model(stars, biases):
    wild = STARS.copy()
    wild[11] = 1e6
    init = stars if biases is None else learn(STARS, biases=biases)
    with pytest.warns(RatingsWarning, match="is 1e\\+06"):
        model = MatrixFactorization(**SMALL).fit(columns(wild, ~TEST), init=init)
    assert model.mean_rating_ == pytest.approx(STARS[~TEST].mean(), abs=0.01)
    usual = init.evaluate(columns(STARS, TEST))["rmse"]
    assert model.evaluate(columns(STARS, TEST))["rmse"] < 1.1 * usual


def test_a_wild_rating_is_cut_for_new_users_and_items(stars):
    for fold_in in (stars.fold_in_user, stars.fold_in_item):
        with pytest.warns(RatingsWarning, match=r"row 5 \(counted from 0\) is (1000|500), far"):
            wild, other = (fold_in(range(6), [1, 5, 4, 2, 5, last]) for last in (1000.0, 500.0))
        np.testing.assert_array_equal(wild.factors, other.factors)
        assert np.abs(wild.predict(range(40))).max() < 15


def test_a_wild_rating_does_not_move_the_mean_of_ratings_all_alike():
    with pytest.warns(RatingsWarning):
        model = learn(np.full(3000, 3.0), biases=False)
    with pytest.warns(RatingsWarning, match="is 1e\\+06"):
        model.partial_fit(([1, 2], [3, 4], [3.0, 1e6]))
    assert model.mean_rating_ == pytest.approx(3, abs=0.01)


def test_what_are_no_ratings_is_said():
    with pytest.warns(RatingsWarning, match=r"all 2700 ratings are 1: .* objective interactions"):
        model = learn(np.ones(3000))
    assert model.predict(3, 4) == pytest.approx(1, abs=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learn(STARS).partial_fit(([1, 2], [3, 4], [4.0, 4.0]))


def test_counts_are_better_as_logarithms():
    plays = np.ceil(np.exp(1.5 * (STARS - 3) + np.random.default_rng(0).normal(0, 1, 3000)))
    with pytest.warns(RatingsWarning, match=r"spread like counts.*numpy.log1p"):
        learn(plays)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learn(np.log1p(plays))


def test_only_what_needs_it_has_the_new_format(stars, tmp_path):
    stars.save(tmp_path / "5")
    assert stated_facts(tmp_path / "5", FORMAT)["format_version"] == 5
    assert json.dumps(stated_facts(tmp_path / "5", FORMAT)["decided"]) == (
        '["learning_rate", "user_reg", "item_reg"]'
    )
    loaded = MatrixFactorization.load(tmp_path / "5")
    assert (loaded.learning_rate, loaded.user_reg) == (None, None)
    paper = learn(STARS, recipe="paper", biases=False).model_
    plain = dataclasses.replace(paper, baseline=None, damping=DEFAULT_DAMPING)
    needs = {
        "baseline": paper.baseline,
        "damping": Damping(3.0, 5.0),
        "units": Units(3.0, 1.0),
        "lift": 0.5,
        "bias_share": 0.5,
        "decided": ("user_reg",),
    }
    for more, version in [({}, 4), *(({name: value}, 5) for name, value in needs.items())]:
        save_model(dataclasses.replace(plain, **more), tmp_path / "model")
        assert stated_facts(tmp_path / "model", FORMAT)["format_version"] == version, more
        assert load_model(tmp_path / "model").units == more.get("units", IN_OWN_UNITS)
