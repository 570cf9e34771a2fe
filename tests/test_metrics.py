import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mascot_jax.metrics import ErrorTotals, total


def test_rmse_and_mae_by_hand():
    totals = ErrorTotals(squared=1.0 + 0 + 4 + 4, absolute=1.0 + 0 + 2 + 2, count=4)
    assert totals.rmse == 1.5
    assert totals.mae == 1.25


def test_no_pairs_have_no_error():
    totals = ErrorTotals(0.0, 0.0, 0)
    assert math.isnan(totals.rmse)
    assert math.isnan(totals.mae)


@pytest.mark.parametrize("size", [1024, 977 * 1024, 1 << 20])
@pytest.mark.parametrize("seed", range(3))
def test_a_total_keeps_a_float32s_precision(size, seed):
    values = np.square(np.random.default_rng(seed).normal(0, 1, size).astype(np.float32))
    assert float(jax.jit(total)(values)) == pytest.approx(values.sum(dtype=np.float64), rel=2e-7)


def test_a_total_does_not_drift():
    # added one by one to a float32, the ones would be lost: 2^24 + 1 is none
    values = jnp.ones(1 << 20, dtype=jnp.float32).at[0].set(2.0**24)
    assert float(jax.jit(total)(values)) == pytest.approx(2**24 + 2**20 - 1, rel=3e-7)
