import numpy as np
import pytest

from mascot_jax.settings.strength import strength, uncertainty_of
from mascot_jax.training.signal import LEAST_NOISE, MOST_NOISE, noise_of


def dense(factors, noise, seed=0):
    rng = np.random.default_rng(seed)
    u, i = np.divmod(rng.permutation(300 * 60)[:9000], 60)
    p, q = rng.normal(size=(300, 4)), rng.normal(size=(60, 4))
    r = 3 + factors * (p[u] * q[i]).sum(axis=1) + noise * rng.normal(size=9000)
    return u.astype(np.uint32), i.astype(np.uint32), r.astype(np.float32)


def test_noise_is_told_from_factors():
    alone, some, most = (noise_of(dense(*world)) for world in ((0, 1), (0.25, 1), (1, 0.1)))
    assert alone > 1.5
    assert some == 1
    assert most < 0.7
    assert LEAST_NOISE <= most < alone <= MOST_NOISE


def test_the_scale_of_ratings_does_not_matter():
    u, i, r = dense(0.25, 1.0)
    for a, b in ((100, 0), (-1, 7)):
        assert noise_of((u, i, np.float32(a) * r + np.float32(b))) == noise_of((u, i, r))


@pytest.mark.parametrize("count", [1, 5])
def test_a_few_ratings_are_taken_to_be_as_noisy_as_most(count):
    u, i, r = dense(0.0, 1.0)
    assert noise_of((u[:count], i[:count], r[:count])) == 1
    assert noise_of((u, i, np.ones_like(r))) == 1


def test_factors_add_less_where_less_is_known():
    dense_, sparse = (strength(uncertainty_of(n, 500, 500)) for n in (100_000, 1000))
    assert sparse.lift < 0.01 < dense_.lift < 1 == strength(0.0).lift
    assert sparse.bias_share == 1 > dense_.bias_share
    assert sparse.user_reg > dense_.user_reg
    noisy, clear = (strength(0.15, noise) for noise in (4.0, 0.4))
    assert (noisy.lift, noisy.bias_share) == (pytest.approx(0.0127, abs=1e-4), 1)
    assert noisy.user_reg > 4 * clear.user_reg
