import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mascot_jax.engine.sums import pairwise_sum, rounded

SHAPES = [(1,), (2,), (3,), (1000,), (1 << 20,), (977 * 1024 + 1,), (7, 5), (100, 128)]


def in_numpy(values):
    """The same additions, one after the other."""
    full = 1 << (len(values) - 1).bit_length()
    values = np.concatenate([values, np.zeros((full - len(values), *values.shape[1:]), np.float32)])
    while half := len(values) // 2:
        values = values[:half] + values[half:]
    return values[0]


def to_23_bits(values):
    """Drop the last of 24 bits, to nearest, ties to even."""
    bits = values.view(np.uint32)
    return (bits + ((bits >> 1) & 1) & 0xFFFFFFFE).astype(np.uint32).view(np.float32)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_sum_is_these_additions(shape):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    np.testing.assert_array_equal(jax.jit(pairwise_sum)(values), in_numpy(values))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_product_is_rounded_before_it_is_added(shape):
    values = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    sums = jax.jit(lambda x: pairwise_sum(rounded(jnp.square(x))))(values)
    np.testing.assert_array_equal(sums, in_numpy(to_23_bits(values * values)))


@pytest.mark.parametrize("size", [1024, 977 * 1024, 1 << 20])
@pytest.mark.parametrize("seed", range(3))
def test_a_sum_keeps_a_float32s_precision(size, seed):
    values = np.square(np.random.default_rng(seed).normal(0, 1, size).astype(np.float32))
    exact = values.sum(dtype=np.float64)
    assert float(jax.jit(pairwise_sum)(values)) == pytest.approx(exact, rel=2e-7)


def test_a_sum_does_not_drift():
    # added one by one to a float32, the ones would be lost: 2^24 + 1 is none
    values = jnp.ones(1 << 20, dtype=jnp.float32).at[0].set(2.0**24)
    assert float(jax.jit(pairwise_sum)(values)) == pytest.approx(2**24 + 2**20 - 1, rel=3e-7)
