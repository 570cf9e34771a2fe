import numpy as np
import pytest

from mascot_jax.base import arrays
from mascot_jax.base.biases import Damping, _left_out_error, choose_damping, fit_biases


def ratings(users=12, items=9, count=400, seed=0):
    rng = np.random.default_rng(seed)
    u = rng.integers(0, users, count).astype(np.uint32)
    i = rng.integers(0, items, count).astype(np.uint32)
    return u, i, rng.integers(1, 6, count).astype(np.float32), users, items


@pytest.mark.parametrize("damping", [0.0, 3.0])
def test_they_solve_the_damped_least_squares(damping):
    u, i, r, users, items = ratings()
    mean = float(r.mean(dtype=np.float64))
    design = np.zeros((len(r), users + items))
    design[np.arange(len(r)), u] = 1
    design[np.arange(len(r)), users + i] = 1
    normal = design.T @ design + damping * np.eye(users + items)
    solved = np.linalg.lstsq(normal, design.T @ (r - mean), rcond=None)[0]
    fitted = np.concatenate(fit_biases(u, i, r, users, items, mean=mean, damping=damping))
    np.testing.assert_allclose(design @ fitted, design @ solved, atol=1e-3)


def test_a_row_without_ratings_has_none():
    u, i, r, users, items = ratings()
    for damping in (0.0, 5.0):
        user, item = fit_biases(u, i, r, users + 1, items + 2, mean=3.0, damping=damping)
        assert (user.shape, item.shape) == ((users + 1,), (items + 2,))
        assert user[-1] == 0
        assert not item[-2:].any()


def test_damping_keeps_a_single_ratings_bias_small():
    one = np.zeros(1, np.uint32)
    user, _ = fit_biases(one, one, np.float32([5]), 1, 1, mean=3.0, damping=4.0)
    assert 0 < user[0] < 2 / 5 + 1e-12


@pytest.mark.parametrize("size", [1, 7, 399, 400])
def test_chunks_do_not_matter(size, monkeypatch):
    whole = fit_biases(*ratings(), mean=3.0)
    monkeypatch.setattr(arrays, "AT_A_TIME", size)
    for a, b in zip(whole, fit_biases(*ratings(), mean=3.0), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


def left_out_error(rows, residuals, damping):
    """Predict each residual by the damped mean of its row's others, one by one."""
    total = 0.0
    for j in range(len(rows)):
        others = (rows == rows[j]) & (np.arange(len(rows)) != j)
        total += (residuals[j] - residuals[others].sum() / (others.sum() + damping)) ** 2
    return total


@pytest.mark.parametrize("damping", [0.5, 3.0, 40.0])
def test_the_error_of_left_out_ratings_takes_no_second_fit(damping):
    rng = np.random.default_rng(1)
    rows, residuals = rng.integers(0, 9, 60), rng.normal(size=60)
    counts, sums, squares = (
        np.bincount(rows, weights, 9) for weights in (None, residuals, residuals**2)
    )
    found = _left_out_error(counts.astype(np.float64), sums, squares, damping)
    assert found == pytest.approx(left_out_error(rows, residuals, damping))


@pytest.mark.parametrize(("deviation", "low", "high"), [(1.0, 0.25, 2.0), (0.2, 14.0, 60.0)])
def test_damping_follows_how_much_rows_differ(deviation, low, high):
    """The best one is the noise's variance / that of the biases: 1 and 25."""
    rng = np.random.default_rng(0)
    u, i = (rng.integers(0, 300, 6000).astype(np.uint32) for _ in range(2))
    biases = rng.normal(0, deviation, (2, 300))
    r = (biases[0][u] + biases[1][i] + rng.normal(size=6000)).astype(np.float32)
    damping = choose_damping(u, i, r, 300, 300, mean=0.0)
    assert low <= damping.users <= high
    assert low <= damping.items <= high
    assert choose_damping(u[:1], i[:1], r[:1], 300, 300, mean=0.0) == Damping()


def test_each_side_can_have_its_own_damping():
    u, i, r, users, items = ratings()
    apart = fit_biases(u, i, r, users, items, mean=3.0, damping=Damping(1e12, 0.0))
    assert abs(apart[0]).max() < 1e-9
    means = np.bincount(i, r - 3.0) / np.bincount(i)
    np.testing.assert_allclose(apart[1], means, atol=1e-9)
