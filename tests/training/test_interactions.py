"""What a training from interactions begins from: the scores of popularity."""

import dataclasses

import numpy as np
import pytest

from mascot_jax import MatrixFactorization
from mascot_jax.engine.interactions import draws_of
from mascot_jax.engine.ratings import Negatives, make_ratings
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.settings.strength import strength_of_interactions
from mascot_jax.training.initial import initial_state
from mascot_jax.training.interactions import popular
from tests.support.worlds import live_rows

FACTORS = 8


@pytest.fixture(scope="module", params=[0.0, 0.5], ids=["uniform", "by popularity"])
def made(request):
    """Interactions, negatives, and the heads of both sides."""
    rng = np.random.default_rng(3)
    likely = rng.uniform(0.05, 0.5, 30)
    users, items = np.nonzero(rng.random((40, 30)) < likely)
    weights = rng.choice([0.5, 1, 2], len(users)).astype(np.float32)
    # one more item, which nobody has met and which is never drawn
    interactions = make_ratings(users, items, weights, 40, 31)
    settings = {"objective": "interactions", "negative_power": request.param, "negatives": 4}
    plan = validate(TrainSettings, settings).plan()
    weight = np.array([0.7], np.float32)
    negatives = Negatives(*draws_of(interactions, plan, 30), weight, "squared")
    return interactions, negatives, popular(interactions, negatives, FACTORS)


def visits_of(interactions, negatives):
    """Weights ``(users, items)`` of interactions, and of an epoch's negatives."""
    shape = interactions.user_count, interactions.item_count
    users, items, values = interactions.host()
    met = np.zeros(shape)
    met[users, items] = values
    shares = negatives.item_weights / negatives.item_weights.sum()
    missed = float(negatives.weight[0]) * np.outer(negatives.user_draws, shares)
    return met, np.where(met > 0, 0, missed)


def test_heads_are_the_best_scores_that_users_have_in_common(made):
    interactions, negatives, heads = made
    met, missed = visits_of(interactions, negatives)
    scores = FACTORS * heads.users[:, None] * heads.items[None]
    slope = (met * (1 - scores) - missed * scores).sum(axis=0)
    np.testing.assert_allclose(slope, 0, atol=1e-4)
    assert heads.items[-1] == 0
    assert len(set(heads.users)) == 1


def test_heads_of_both_sides_are_equally_large(made):
    interactions, negatives, heads = made
    visits = sum(visits_of(interactions, negatives))
    users, items = ((visits * np.square(x)).sum() for x in (heads.users[:, None], heads.items))
    assert users == pytest.approx(items, rel=1e-4)


def test_without_negatives_all_scores_begin_at_1(made):
    interactions, negatives, _ = made
    none = dataclasses.replace(negatives, user_draws=np.zeros_like(negatives.user_draws))
    heads = popular(interactions, none, FACTORS)
    scores = FACTORS * heads.users[:, None] * heads.items[None, :-1]
    np.testing.assert_allclose(scores, 1, rtol=1e-6)


@pytest.mark.parametrize("method", ["fp32", "fp16", "int8"])
def test_rows_begin_with_their_heads(made, method):
    heads = made[2]
    starts = [np.array([0, n], np.uint32) for n in (40, 31)]
    plan = validate(TrainSettings, {"method": method, "factors": FACTORS}).plan()
    plain, headed = (initial_state(*starts, plan, heads=h) for h in (None, heads))
    step = {"fp32": 0, "fp16": 2**-10, "int8": 2 / 127}[method]
    for side in ("users", "items"):
        before, after = (live_rows(getattr(state, side)) for state in (plain, headed))
        moved = np.repeat(getattr(heads, side)[:, None], FACTORS, axis=1)
        atol = 1e-6 + step * max(np.abs(before).max(), np.abs(after).max())
        np.testing.assert_allclose(after - before, moved, rtol=0, atol=atol)


@pytest.mark.filterwarnings("ignore::mascot_jax.errors.BaselineWarning")
def test_with_little_to_learn_from_lists_are_as_good_as_the_most_popular_items():
    """Users differ in nothing: what there is to know of an item is how popular it is."""
    rng = np.random.default_rng(1)
    likely = 20 / (20 + np.arange(400))
    pairs = np.argwhere(rng.random((1500, 400)) < 3 * likely / likely.sum())
    train, test = (pairs[chosen] for chosen in np.split(rng.permutation(len(pairs)), [3000]))
    model = MatrixFactorization(objective="interactions", threads=1)
    model.fit(tuple(train.T))
    found = model.evaluate(tuple(test.T))
    assert found["ndcg"] > 0.95 * found["ndcg_of_popularity"]


@pytest.mark.parametrize("factors", [8, 128, 200])
def test_random_rows_are_equally_large_for_every_number_of_factors(factors):
    starts = np.array([0, 2_000], np.uint32)
    norms = []
    for objective in ("interactions", "ratings"):
        settings = {"objective": objective, "method": "fp32", "factors": factors}
        state = initial_state(starts, starts, validate(TrainSettings, settings).plan())
        norms.append(np.square(live_rows(state.users)).sum(axis=1).mean() ** 0.5)
    assert norms == pytest.approx([0.01 * 128**0.5, 0.01 * factors**0.5], rel=0.02)


def test_the_step_size_grows_with_the_uncertainty_of_rows():
    uncertainties = (0.15, 0.5, 0.6, 0.8, 1.0)
    rates = [strength_of_interactions(h, "squared").learning_rate for h in uncertainties]
    assert rates == pytest.approx([0.08, 0.08, 0.09, 0.12, 0.12])
    assert strength_of_interactions(1.0, "logistic").learning_rate == 0.2
