import numpy as np
import pytest

from mascot_jax.base import arrays
from mascot_jax.base.units import Units, around, measure_spread

STARS = np.random.default_rng(0).choice([1, 2, 3, 4, 5], 3000, p=[0.05, 0.1, 0.25, 0.35, 0.25])
STARS = STARS.astype(np.float32)


def test_stars_have_their_mean_and_deviation():
    spread = measure_spread(STARS)
    assert spread.units.centre == pytest.approx(STARS.mean(dtype=np.float64))
    assert spread.units.scale == pytest.approx(STARS.std(dtype=np.float64) / 1.1)  # skew below
    assert (spread.low, spread.high) == (1, 5)
    normal = spread.for_training(STARS)
    assert normal.dtype == np.float32
    assert normal.mean() == pytest.approx(0, abs=1e-4)
    assert normal.std() == pytest.approx(1.1, abs=1e-4)
    np.testing.assert_allclose(spread.units.rating(normal), STARS, atol=1e-4)


@pytest.mark.parametrize(("a", "b"), [(0.1, 0), (1, 2000), (-20, 3), (1e4, -1e6), (1 / 3, 1 / 7)])
def test_another_scale_gives_the_same_normal_ratings(a, b):
    other = (a * STARS.astype(np.float64) + b).astype(np.float32)
    spread, same = measure_spread(other), measure_spread(STARS)
    np.testing.assert_array_equal(spread.for_training(other), same.for_training(STARS))
    assert spread.units.scale == pytest.approx(a * same.units.scale, rel=1e-3)


@pytest.mark.parametrize("wild", [1e4, -500, 3e38])
def test_a_wild_rating_changes_the_units_little(wild):
    ratings = STARS.copy()
    ratings[7] = wild
    spread, usual = measure_spread(ratings), measure_spread(STARS)
    assert spread.units.centre == pytest.approx(usual.units.centre, rel=0.01)
    assert spread.units.scale == pytest.approx(usual.units.scale, rel=0.03)
    assert np.flatnonzero(spread.wild(ratings)).tolist() == [7]
    assert abs(spread.for_training(ratings)).max() < 12
    assert np.flatnonzero(around(usual.units).wild(ratings)).tolist() == [7]


@pytest.mark.parametrize("ratings", [[3.0], [5.0, 5.0], [0.1] * 1000, [1.0, 2.0]])
def test_few_or_equal_ratings_have_a_scale(ratings):
    ratings = np.float32(ratings)
    spread = measure_spread(ratings)
    assert spread.units.scale > 0
    assert not spread.wild(ratings).any()
    np.testing.assert_allclose(spread.units.rating(spread.units.normal(ratings)), ratings)


def test_ratings_in_their_own_units_are_left_alone():
    assert Units().normal(STARS) is STARS
    assert Units().rating(STARS) is STARS
    assert not Units(0.0, 2.0).plain


@pytest.mark.parametrize("size", [1, 7, 2999])
def test_chunks_do_not_matter(size, monkeypatch):
    whole = measure_spread(STARS[:300])
    monkeypatch.setattr(arrays, "AT_A_TIME", size)
    found = measure_spread(STARS[:300])
    np.testing.assert_allclose(found.units, whole.units, rtol=1e-12)
    np.testing.assert_array_equal(found.units.normal(STARS[:300]), whole.units.normal(STARS[:300]))
