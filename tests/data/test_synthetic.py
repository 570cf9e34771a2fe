"""The generator: sizes, seeds, popularity, and the two yardsticks it declares."""

import functools

import numpy as np
import polars as pl
import pytest

from mascot_jax.data.raw import RawRatings
from mascot_jax.data.synthetic.baseline import bias_rmse
from mascot_jax.data.synthetic.generator import HALF_STARS, SHAPES, WHOLE_STARS, generate
from mascot_jax.data.synthetic.pairs import apportion, draw_pairs, popularity
from mascot_jax.data.synthetic.planted import Scale
from mascot_jax.errors import SettingsError
from mascot_jax.settings import DataSettings


@functools.cache
def default_set() -> RawRatings:
    return generate(DataSettings())


def small(**values: object) -> RawRatings:
    sizes = {"users": 300, "items": 200, "ratings": 6000}
    return generate(DataSettings.model_validate(sizes | values))


def column(raw: RawRatings, name: str) -> np.ndarray:
    return raw.frame[name].to_numpy()


def counts(raw: RawRatings, name: str) -> np.ndarray:
    return raw.frame[name].value_counts(sort=True)["count"].to_numpy()


def test_default_set_has_the_size_of_movielens_1m():
    frame = default_set().frame
    assert frame.schema == {"user": pl.Int64, "item": pl.Int64, "rating": pl.Float32}
    assert frame.height == 1_000_209
    assert frame.select("user", "item").n_unique() == frame.height
    assert frame["user"].unique().sort().to_list() == list(range(1, 6041))
    assert frame["item"].unique().sort().to_list() == list(range(1, 3707))


def test_default_set_leaves_factorisation_room_between_biases_and_floor():
    facts = default_set().facts
    assert facts["rmse_bias_only"] >= 1.18 * facts["rmse_floor"]


def test_default_ratings_look_like_stars():
    stars = column(default_set(), "rating")
    assert np.unique(stars).tolist() == [1, 2, 3, 4, 5]
    assert 3.4 < stars.mean(dtype=np.float64) < 3.7
    assert 1.0 < stars.std(dtype=np.float64) < 1.2
    assert np.bincount(stars.astype(int)).max() < 0.4 * stars.size


@pytest.mark.parametrize("side", ["user", "item"])
def test_counts_are_heavy_tailed(side):
    ranked = counts(default_set(), side)
    assert ranked[0] > 7 * ranked.mean()
    assert np.median(ranked) < 0.6 * ranked.mean()
    # the top tenth holds far more than a tenth, as in MovieLens 1M (users 0.38, items 0.44)
    assert 0.3 < ranked[: ranked.size // 10].sum() / ranked.sum() < 0.6
    # log-log, the upper half falls along a line
    ranks = np.log(np.arange(ranked.size // 50, ranked.size // 2))
    fall = np.corrcoef(ranks, np.log(ranked[ranked.size // 50 : ranked.size // 2]))
    assert fall[0, 1] < -0.95


@pytest.mark.parametrize("side", ["user", "item"])
def test_ids_say_nothing_about_popularity(side):
    sizes = default_set().frame[side].value_counts().sort(side)["count"].to_numpy()
    assert abs(np.corrcoef(np.arange(sizes.size), sizes)[0, 1]) < 0.05


def test_seed_fixes_every_rating():
    first, again, other = small(seed=7), small(seed=7), small(seed=8)
    assert first.frame.equals(again.frame)
    assert first.facts == again.facts
    assert not first.frame.equals(other.frame)


def test_numbers_of_a_seed_do_not_drift():
    """Red after an upgrade of NumPy means that its generator changed: say so in the release."""
    raw = small(seed=3)
    assert raw.frame.head(4).rows() == [(1, 4, 4.0), (1, 5, 3.0), (1, 10, 4.0), (1, 20, 3.0)]
    assert raw.facts["rmse_floor"] == pytest.approx(0.774548, abs=2e-6)
    assert raw.facts["rmse_bias_only"] == pytest.approx(0.964555, abs=2e-6)


@pytest.mark.parametrize(
    ("shape", "scale"),
    [
        ("ml-1m", WHOLE_STARS),
        ("netflix", WHOLE_STARS),
        ("ml-25m", HALF_STARS),
        ("yahoo", HALF_STARS),
    ],
)
def test_rating_step_follows_the_shape(shape, scale):
    raw = small(shape=shape)
    expected = np.arange(scale.low, scale.high + scale.step, scale.step)
    assert np.unique(column(raw, "rating")).tolist() == expected.tolist()
    assert (raw.facts["low"], raw.facts["high"]) == (scale.low, 5.0)


def test_shapes_are_those_of_the_paper():
    assert {name: shape[:3] for name, shape in SHAPES.items()} == {
        "ml-1m": (6040, 3706, 1000209),
        "ml-10m": (69878, 10677, 10000035),
        "ml-25m": (162541, 59047, 24997208),
        "netflix": (480189, 17770, 100480507),
        "yahoo": (1000990, 624961, 256804235),
    }


@pytest.mark.parametrize("noise", [0.3, 1.5])
def test_floor_is_what_repeated_draws_of_the_noise_leave(noise, monkeypatch):
    """Independent of the formula: the mean of many draws stands for the expectation."""
    import mascot_jax.data.synthetic.generator as module

    scores = []
    inner = module.Truth.score
    monkeypatch.setattr(
        module.Truth, "score", lambda *args: scores.append(inner(*args)) or scores[-1]
    )
    raw = small(noise=noise, users=100, items=80, ratings=2000)
    (truth,) = scores
    rng = np.random.default_rng(0)
    mean = np.zeros(truth.size)
    draws = 4000
    for _ in range(draws):
        drawn = np.round(truth + noise * rng.standard_normal(truth.size))
        mean += np.clip(drawn, 1, 5) / draws
    error = column(raw, "rating") - mean
    assert raw.facts["rmse_floor"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=2e-3)


def test_floor_is_zero_without_noise():
    assert small(noise=0.0).facts["rmse_floor"] == 0.0


def test_expectation_far_outside_the_scale_is_its_end():
    scale = Scale(1.0, 5.0, 1.0)
    far = scale.expect(np.array([-90.0, 90.0], dtype=np.float32), 0.5)
    np.testing.assert_allclose(far, [1.0, 5.0], atol=1e-7)


def test_bias_only_is_the_least_squares_fit():
    raw = small(users=40, items=30, ratings=500)
    users, items = column(raw, "user") - 1, column(raw, "item") - 1
    ratings = column(raw, "rating").astype(np.float64)
    design = np.zeros((500, 70))
    design[np.arange(500), users] = 1
    design[np.arange(500), 40 + items] = 1
    fitted = design @ np.linalg.lstsq(design, ratings, rcond=None)[0]
    best = np.sqrt(np.mean((ratings - fitted) ** 2))
    assert best - 1e-6 <= raw.facts["rmse_bias_only"] <= best * 1.0005


def test_bias_of_a_row_without_ratings_does_no_harm():
    index = np.array([0, 2], dtype=np.uint32)
    assert bias_rmse(index, index, np.array([1, 5], dtype=np.float32), 4, 4) == pytest.approx(0)


@pytest.mark.parametrize(
    ("users", "items", "ratings"),
    [
        (2, 2, 4),
        (10, 10, 100),
        (3, 500, 1400),
        (500, 3, 1400),
        (50, 40, 60),
        (50, 40, 30),
        (9, 70, 40),
    ],
)
def test_any_size_has_distinct_pairs_and_covers_what_it_can(users, items, ratings):
    frame = small(users=users, items=items, ratings=ratings).frame
    assert frame.height == ratings
    assert frame.select("user", "item").n_unique() == ratings
    assert frame["user"].is_between(1, users).all()
    assert frame["item"].is_between(1, items).all()
    assert frame["item"].n_unique() == min(items, ratings)
    if ratings >= users:
        assert frame["user"].n_unique() == users


def test_more_ratings_than_pairs_is_refused():
    with pytest.raises(SettingsError, match=r"data\.ratings is 1000209, .* 10 users and 20 items"):
        generate(DataSettings(users=10, items=20))


def test_chunks_join_without_gaps(monkeypatch):
    monkeypatch.setattr("mascot_jax.data.synthetic.pairs.CHUNK", 500)
    raw = small()
    assert raw.frame.height == 6000
    assert raw.frame.select("user", "item").n_unique() == 6000
    assert raw.frame.equals(raw.frame.sort("user", "item"))


def test_users_still_short_after_the_redraws_are_completed(monkeypatch):
    monkeypatch.setattr("mascot_jax.data.synthetic.pairs._ROUNDS", 2)
    weights = np.full(400, 1e-9)
    weights[0] = 1.0
    wanted = np.full(20, 30)
    ((user, item),) = draw_pairs(wanted, weights, np.random.SeedSequence(0))
    assert np.bincount(user).tolist() == wanted.tolist()
    assert np.unique(user.astype(np.uint64) * 400 + item).size == 600


def test_a_user_without_ratings_may_come_first():
    drawn = draw_pairs(np.array([0, 2, 0]), np.ones(40), np.random.SeedSequence(0))
    ((user, item),) = drawn
    assert user.tolist() == [1, 1]
    assert np.unique(item).size == 2


def test_popular_items_are_drawn_more_often():
    weights = popularity(200, 2)
    ((_, item),) = draw_pairs(np.full(2000, 10), weights, np.random.SeedSequence(1))
    drawn = np.bincount(item, minlength=200)
    expected = weights / weights.sum() * 20000
    tail = expected < 150  # rare enough that a user hardly draws one twice
    assert drawn[tail].sum() == pytest.approx(expected[tail].sum(), rel=0.12)
    assert np.corrcoef(drawn, expected)[0, 1] > 0.98


@pytest.mark.parametrize(
    ("total", "cap", "expected"),
    [
        (6, 9, [4, 1, 1]),
        (3, 9, [1, 1, 1]),
        (1, 9, [1, 0, 0]),
        (12, 4, [4, 4, 4]),
        (11, 4, [4, 4, 3]),
    ],
)
def test_shares_are_whole_capped_and_complete(total, cap, expected):
    assert apportion(np.array([8.0, 1.0, 0.5]), total, cap).tolist() == expected
