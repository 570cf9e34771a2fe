"""Options of ``recommend``: fewest ratings, popularity, diversity."""

import dataclasses

import numpy as np
import pytest

from mascot_jax import MatrixFactorization
from mascot_jax.errors import DataError, SettingsError
from mascot_jax.mf.model_file import save_model
from mascot_jax.ranking.diversity import diversify
from mascot_jax.ranking.top_n import TopN

USERS, ITEMS = 40, 30
STRANGER = 10**6


@pytest.fixture(scope="module", params=["plain", "biased", "upside down"])
def ratings(request):
    """The first items have most ratings; how they are rated says nothing of that."""
    rng = np.random.default_rng(1)
    chance = np.linspace(0.9, 0.1, ITEMS)
    users, items = np.nonzero(rng.random((USERS, ITEMS)) < chance)
    stars = np.clip(np.rint(4 + rng.normal(0, 1.2, len(users))), 1, 5)
    if request.param == "upside down":
        stars = 100 * (6 - stars)
    return request.param, (users, items + 100, stars)


@pytest.fixture(scope="module")
def fitted(ratings):
    name, triples = ratings
    biases = name == "biased"
    return MatrixFactorization(factors=4, epochs=5, threads=1, biases=biases).fit(triples)


@pytest.fixture(scope="module")
def counts(ratings):
    return np.bincount(ratings[1][1] - 100, minlength=ITEMS)


def by_score(fitted, counts, user, popularity):
    """All items that the user has not rated, with the score that decides, best first."""
    seen = fitted.model_.seen
    index = np.searchsorted(fitted.user_ids_, user)
    mine = seen.items[seen.starts[index] : seen.starts[index + 1]]
    rest = np.setdiff1d(np.arange(ITEMS), mine)
    scores = fitted.predict(user, rest + 100) + popularity * np.log2(counts[rest])
    order = np.argsort(-scores, kind="stable")
    return rest[order], scores[order]


@pytest.mark.parametrize("stars", [-2.0, 0.0, 0.4, 30.0])
def test_popularity_is_added_for_every_doubling(ratings, fitted, counts, stars):
    assert (fitted.model_.units.scale < 0) == (ratings[0] == "upside down")
    popularity = stars * (fitted.model_.high - fitted.model_.low) / 4
    for user in (0, 7):
        found = fitted.recommend(user, 6, popularity=popularity)
        items, scores = by_score(fitted, counts, user, popularity)
        decided = found.scores + popularity * np.log2(counts[found.items - 100])
        np.testing.assert_allclose(decided, scores[:6], rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(found.scores, fitted.predict(user, found.items), rtol=1e-4)
        if stars == 30:
            clear = np.diff(counts[items[:6]]) != 0
            assert (np.diff(counts[found.items - 100])[clear] < 0).all()


def test_items_with_few_ratings_are_left_out(fitted, counts):
    for least in (0, 1, 10, 25):
        allowed = set((np.flatnonzero(counts >= least) + 100).tolist())
        for user in (3, STRANGER):
            found = fitted.recommend(user, ITEMS, exclude_seen=False, min_ratings=least)
            assert set(found.items.tolist()) == allowed
        some = fitted.recommend(3, 3, candidates=[100, 129], exclude_seen=False, min_ratings=least)
        assert set(some.items.tolist()) == allowed & {100, 129}
    assert fitted.recommend([3, STRANGER], min_ratings=USERS + 1).items.tolist() == []


def test_calls_with_and_without_options_do_not_mix(fitted):
    calls = [{}, {"min_ratings": 10}, {"popularity": 2.0}, {"popularity": -2.0}]
    alone = [fitted.recommend(5, 8, **options).items.tolist() for options in calls]
    assert len(set(map(tuple, alone))) == len(calls)
    for _ in range(2):
        for options, items in zip(calls, alone, strict=True):
            assert fitted.recommend(5, 8, **options).items.tolist() == items


@pytest.mark.parametrize("user", [5, STRANGER])
def test_diverse_lists_are_chosen_from_the_best(fitted, user):
    every = fitted.recommend(user, ITEMS)
    worth = every.scores
    if user == STRANGER:
        worth = -np.log2(np.arange(1, len(every.items) + 1))
    pool = TopN(
        np.zeros(len(every.items), dtype=np.int64),
        (every.items - 100).astype(np.uint32),
        worth.astype(np.float32),
    )
    for diversity in (0.2, 1.0):
        found = fitted.recommend(user, 7, diversity=diversity)
        wanted = diversify(pool, fitted.item_factors_, 7, diversity)
        assert (found.items - 100).tolist() == wanted.items.tolist()
        scores = dict(zip(every.items.tolist(), every.scores.tolist(), strict=True))
        assert found.scores.tolist() == [scores[item] for item in found.items.tolist()]
    assert fitted.recommend(user, 7, diversity=0).items.tolist() == every.items[:7].tolist()


def test_new_users_and_items_have_the_same_options(fitted, counts):
    newcomer = fitted.fold_in_user([100, 101, 102], [5, 1, 3])
    for options in ({"popularity": 3.0}, {"min_ratings": 20}, {"diversity": 1.0}):
        assert (
            newcomer.recommend(9, **options).items.tolist() != newcomer.recommend(9).items.tolist()
        )
    assert (counts[newcomer.recommend(9, min_ratings=20).items - 100] >= 20).all()
    seen = np.diff(fitted.model_.seen.starts)
    least = int(np.median(seen))
    users = fitted.fold_in_item([0, 1, 2], [5, 4, 1]).recommend(USERS, min_ratings=least).users
    assert sorted(users.tolist()) == [u for u in range(3, USERS) if seen[u] >= least]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_ratings": -1}, r"min_ratings: -1: must be greater than or equal to 0"),
        ({"min_ratings": 1.5}, r"min_ratings: 1.5: must be a valid integer"),
        ({"popularity": float("nan")}, r"popularity: nan: must be a finite number"),
        ({"diversity": 1.1}, r"diversity: 1.1: must be less than or equal to 1"),
        ({"diversity": -0.1}, r"diversity: -0.1: must be greater than or equal to 0"),
    ],
)
def test_what_cannot_be_is_refused(fitted, options, message):
    for recommend in (
        lambda **o: fitted.recommend(1, **o),
        fitted.fold_in_user([100], [3]).recommend,
    ):
        with pytest.raises(SettingsError, match=message):
            recommend(**options)


@pytest.mark.parametrize("damping", [-1, float("inf"), float("nan"), "ten", True])
def test_a_damping_is_a_number(fitted, damping):
    with pytest.raises(SettingsError, match=f"damping: {damping!r}: must be a finite number"):
        fitted.similar_items(100, damping=damping)


def test_a_file_without_numbers_of_ratings_says_so(fitted, tmp_path):
    model = fitted.model_
    sides = (dataclasses.replace(side, counts=None) for side in (model.users, model.items))
    old = dataclasses.replace(model, **dict(zip(("users", "items"), sides, strict=True)))
    save_model(old, tmp_path / "old")
    loaded = MatrixFactorization.load(tmp_path / "old")
    for options in ({"min_ratings": 2}, {"popularity": 1.0}):
        with pytest.raises(DataError, match="does not know how many ratings its items have"):
            loaded.recommend(1, **options)
    assert len(loaded.recommend([1, STRANGER], 3, diversity=0.5, min_ratings=1).items) == 6
    plain = fitted.similar_items(100, damping=0)
    assert loaded.similar_items(100).scores.tolist() == plain.scores.tolist()
