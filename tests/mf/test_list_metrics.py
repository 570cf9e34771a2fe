"""Figures of lists in ``evaluate``, against plain Python."""

import math

import numpy as np
import pandas as pd
import pytest

from mascot_jax import MatrixFactorization
from mascot_jax.errors import SettingsError
from mascot_jax.mf import list_metrics as module
from tests.support.ratings import QUICK

USERS, ITEMS = 30, 25
N = 4
STRANGER, NOVELTY = 999, 5000
"""A user and an item that the model does not know."""

pytestmark = pytest.mark.filterwarnings("ignore::mascot_jax.errors.BaselineWarning")


@pytest.fixture(scope="module")
def frames():
    """Ratings to train on, and others of the same users, of a stranger and of a novelty."""
    rng = np.random.default_rng(3)
    chance = np.linspace(0.8, 0.2, ITEMS)
    users, items = np.nonzero(rng.random((USERS, ITEMS)) < chance)
    frame = pd.DataFrame({"user": users, "item": items + 100})
    frame["rating"] = rng.integers(1, 6, len(frame)).astype(float)
    test = rng.random(len(frame)) < 0.25
    more = pd.DataFrame(
        [(STRANGER, 103, 5.0), (STRANGER, 120, 2.0), (3, NOVELTY, 4.0)], columns=frame.columns
    )
    return frame[~test], pd.concat([frame[test], more], ignore_index=True)


@pytest.fixture(scope="module")
def fitted(frames):
    return MatrixFactorization(**QUICK | {"epochs": 4, "factors": 3}).fit(frames[0])


@pytest.fixture(scope="module")
def ratings_of(frames):
    """Item -> number of training ratings, the most-rated first, the lower id first of equals."""
    counts = frames[0].item.value_counts()
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def items_by_user(frame):
    return frame.groupby("user").item.agg(set).to_dict()


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_the_most_rated_are_measured_as_the_models_lists(frames, fitted, ratings_of, exclude_seen):
    train, test = map(items_by_user, frames)
    found = fitted.evaluate(frames[1], top_n=N, exclude_seen=exclude_seen)
    hits, ndcgs, listed = [], [], set()
    for user, wanted in test.items():
        seen = train.get(user, set()) if exclude_seen else set()
        best = [item for item in ratings_of if item not in seen][:N]
        listed |= set(best)
        gains = [1 / math.log2(2 + place) for place, item in enumerate(best) if item in wanted]
        ideal = [1 / math.log2(2 + place) for place in range(min(len(wanted), N))]
        hits.append(len(gains))
        ndcgs.append(sum(gains) / sum(ideal))
    assert found["precision_of_popularity"] == pytest.approx(np.mean(hits) / N)
    assert found["ndcg_of_popularity"] == pytest.approx(np.mean(ndcgs))
    assert found["hit_rate_of_popularity"] == pytest.approx(np.mean(np.array(hits) > 0))
    assert found["coverage_of_popularity"] == pytest.approx(len(listed) / ITEMS)
    assert "queries_of_popularity" not in found


def test_popularity_is_measured_in_batches_of_any_size(frames, fitted, monkeypatch):
    whole = fitted.evaluate(frames[1], top_n=N, sampled=7)
    monkeypatch.setattr(module, "USERS_AT_A_TIME", 4)
    monkeypatch.setattr(module, "SCORES_AT_A_TIME", 20)
    assert fitted.evaluate(frames[1], top_n=N, sampled=7) == whole


@pytest.mark.parametrize(
    ("options", "least"),
    [({}, None), ({}, 4), ({"popularity": 1.5}, None), ({"min_ratings": 12}, None)],
)
def test_a_sample_of_everything_gives_the_rank_among_everything(
    frames, fitted, ratings_of, options, least
):
    """With more items than there are, the figures have nothing random."""
    train, test = map(items_by_user, frames)
    found = fitted.evaluate(frames[1], top_n=N, relevant=least, sampled=100, **options)
    can_be = {item for item in ratings_of if ratings_of[item] >= options.get("min_ratings", 1)}
    most_rated = list(ratings_of)

    def worth(user, item):
        if user == STRANGER:
            return -most_rated.index(item)
        prior = options.get("popularity", 0.0) * np.log2(ratings_of[item])
        return np.float32(fitted.predict(user, item) + prior)

    ways = {"": worth, "_of_popularity": lambda _, item: ratings_of[item]}
    for name, score in ways.items():
        hits, gains = [], []
        for user, item, rating in frames[1].itertuples(index=False, name=None):
            if least is not None and rating < least:
                continue
            others = can_be - train.get(user, set()) - test[user]
            ranks = [N + 1]
            if item in can_be:
                scores = [score(user, other) for other in others]
                above = sum(each > score(user, item) for each in scores)
                ties = sum(each == score(user, item) for each in scores)
                ranks = range(above + 1, above + ties + 2)
            hits.append(np.mean([rank <= N for rank in ranks]))
            gains.append(np.mean([1 / math.log2(1 + rank) * (rank <= N) for rank in ranks]))
        assert found[f"sampled_hit_rate{name}"] == pytest.approx(np.mean(hits))
        assert found[f"sampled_ndcg{name}"] == pytest.approx(np.mean(gains))


def test_samples_are_those_of_a_seed(frames, fitted):
    first, again, other = (
        fitted.evaluate(frames[1], top_n=N, sampled=3, seed=seed) for seed in (0, 0, 1)
    )
    assert first == again
    assert first["sampled_ndcg"] != other["sampled_ndcg"]
    assert first["ndcg"] == other["ndcg"]


def test_a_model_without_taste_is_as_good_as_chance(frames):
    """All predictions are equal: a rank from 1 to 5 is as likely as another."""
    model = flat(MatrixFactorization(**QUICK).fit(frames[0]))
    test = frames[1][frames[1].item != NOVELTY]
    found = model.evaluate(test[test.user != STRANGER], top_n=2, sampled=4)
    assert found["sampled_hit_rate"] == pytest.approx(2 / 5)
    assert found["sampled_reciprocal_rank"] == pytest.approx((1 + 1 / 2) / 5)


def flat(model):
    """The model with factors of zeros."""
    for side in (model.model_.users, model.model_.items):
        for rows in side.table.stored.values():
            rows[:] = 0
    model._forget_caches()
    return model


def test_lists_are_measured_with_their_options(frames, fitted):
    plain = fitted.evaluate(frames[1], top_n=N)
    for options in ({"min_ratings": 15}, {"popularity": 2.0}, {"diversity": 1.0}):
        found = fitted.evaluate(frames[1], top_n=N, **options)
        assert found["ndcg"] != plain["ndcg"]
        assert found["ndcg_of_popularity"] == plain["ndcg_of_popularity"]


def test_a_model_that_has_forgotten_has_lists_and_samples_of_everything(frames):
    forgetful = MatrixFactorization(**QUICK, keep_seen=False).fit(frames[0])
    found = forgetful.evaluate(frames[1], top_n=N, sampled=3)
    assert 0 < found["ndcg_of_popularity"] < 1
    assert 0 < found["sampled_ndcg"] < 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampled": 3}, "sampled: 3: is of lists: give top_n, too"),
        ({"top_n": 2, "sampled": 0}, "sampled: 0: must be an integer, at least 1"),
        ({"top_n": 2, "sampled": 2.5}, "sampled: 2.5: must be an integer, at least 1"),
        ({"top_n": 2, "sampled": 3, "seed": -1}, "seed: -1: must be an integer, at least 0"),
        ({"top_n": 2, "diversity": 3}, "diversity: 3: must be less than or equal to 1"),
        ({"top_n": 0}, "n is 0; it must be an integer"),
    ],
)
def test_what_cannot_be_is_refused(frames, fitted, options, message):
    with pytest.raises(SettingsError, match=message):
        fitted.evaluate(frames[1], **options)
