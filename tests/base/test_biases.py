import numpy as np
import pytest

from mascot_jax.base import arrays
from mascot_jax.base.biases import fit_biases


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
