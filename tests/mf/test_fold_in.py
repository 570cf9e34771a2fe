import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mascot_jax.errors import DataError, SettingsError
from mascot_jax.mf.fold_in import fold_in

module = sys.modules[fold_in.__module__]  # the room gives its name to the function

K = 12


def world(seed, counts, rows=40, factors=K):
    """Factors, starts, others, ratings."""
    rng = np.random.default_rng(seed)
    fixed = rng.normal(size=(rows, factors)).astype(np.float32)
    starts = np.cumsum([0, *counts])
    others = rng.integers(0, rows, starts[-1]).astype(np.uint32)  # one twice, too
    return fixed, starts, others, rng.normal(size=starts[-1]).astype(np.float32)


def loss(p, fixed, others, ratings, reg):
    """What SGD descends, of one row, in float64."""
    errors = ratings - fixed[others].astype(np.float64) @ p
    return float((errors**2).sum() + len(others) * reg * p @ p)


@settings(max_examples=50)
@given(
    seed=st.integers(0, 2**32 - 1),
    counts=st.lists(st.integers(0, 60), min_size=1, max_size=5),
    reg=st.sampled_from([0.01, 0.05, 1.0]),
)
def test_a_solution_is_where_the_loss_is_flat(seed, counts, reg):
    fixed, starts, others, ratings = world(seed, counts)
    solved = fold_in(fixed, starts, others, ratings, reg)
    assert solved.dtype == np.float32
    assert solved.shape == (len(counts), K)
    for row, p in enumerate(solved.astype(np.float64)):
        part = slice(starts[row], starts[row + 1])
        rated = fixed[others[part]].astype(np.float64)
        pull = rated.T @ (ratings[part] - rated @ p)
        gradient = 2 * (len(rated) * reg * p - pull)
        size = 1 + np.abs(rated).sum(axis=0).max() * (1 + np.abs(p).sum())
        assert np.abs(gradient).max() <= 1e-5 * size


def test_any_step_from_a_solution_leads_uphill():
    fixed, starts, others, ratings = world(0, [30])
    (p,) = fold_in(fixed, starts, others, ratings, 0.05).astype(np.float64)
    lowest = loss(p, fixed, others, ratings, 0.05)
    for step in np.random.default_rng(1).normal(0, 0.01, (50, K)):
        assert loss(p + step, fixed, others, ratings, 0.05) > lowest


def test_a_row_without_ratings_is_zeros():
    fixed, starts, others, ratings = world(0, [0, 5, 0, 0, 20, 0])
    solved = fold_in(fixed, starts, others, ratings, 0.01)
    assert (solved != 0).any(axis=1).tolist() == [False, True, False, False, True, False]


def test_rows_do_not_touch_each_other():
    fixed, starts, others, ratings = world(0, [7, 30, 12])
    together = fold_in(fixed, starts, others, ratings, 0.02)
    for row in range(3):
        part = slice(starts[row], starts[row + 1])
        own = np.array([0, part.stop - part.start])
        (alone,) = fold_in(fixed, own, others[part], ratings[part], 0.02)
        np.testing.assert_array_equal(alone, together[row])


def test_many_ratings_are_summed_in_parts(monkeypatch):
    fixed, starts, others, ratings = world(0, [50])
    whole = fold_in(fixed, starts, others, ratings, 0.02)
    monkeypatch.setattr(module, "RATINGS_AT_A_TIME", 7)
    parts = fold_in(fixed, starts, others, ratings, 0.02)
    np.testing.assert_allclose(parts, whole, rtol=1e-6)


@pytest.mark.parametrize("count", [1, K - 1, K, K + 1, 40])
def test_without_regularisation_it_is_the_shortest_of_the_least_squares(count):
    fixed, _, _, ratings = world(0, [count])
    others = np.arange(count, dtype=np.uint32)
    (p,) = fold_in(fixed, np.array([0, count]), others, ratings, 0.0)
    wanted = np.linalg.lstsq(fixed[others].astype(np.float64), ratings, rcond=None)[0]
    np.testing.assert_allclose(p, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("count", [3, 30])
def test_factors_of_zeros_or_all_alike_are_no_trouble(count):
    others, ratings = np.arange(count, dtype=np.uint32), np.ones(count, np.float32)
    starts = np.array([0, count])
    zeros = np.zeros((40, K), np.float32)
    assert not fold_in(zeros, starts, others, ratings, 0.0).any()
    alike = fold_in(zeros + 1, starts, others, ratings, 0.0)
    np.testing.assert_allclose(alike, np.full((1, K), 1 / K), rtol=1e-5)


@pytest.mark.parametrize(
    ("position", "value", "error", "message"),
    [
        (0, np.full((40, K), np.nan, np.float32), DataError, "fixed: not all numbers are finite"),
        (1, np.array([0, 6]), DataError, "6 ratings by starts, 5 others, 5 ratings"),
        (2, np.array([1, 2, 3, 40, 4], np.uint32), IndexError, "others: index 40 does not exist"),
        (3, np.array([1, 2, 3, np.inf, 4], np.float32), DataError, "ratings: not all numbers"),
        (4, -0.1, SettingsError, "reg is -0.1; it must be at least 0"),
        (4, float("nan"), SettingsError, "reg is nan"),
    ],
)
def test_what_cannot_be_is_refused(position, value, error, message):
    arguments = [*world(0, [5]), 0.1]
    arguments[position] = value
    with pytest.raises(error, match=message):
        fold_in(*arguments)
