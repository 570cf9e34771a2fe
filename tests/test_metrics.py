import math

import numpy as np
import pytest

from mascot_jax.metrics import ErrorTotals


def totals(*chunks):
    result = ErrorTotals()
    for predictions, ratings in chunks:
        result.add(np.array(predictions, np.float32), np.array(ratings, np.float32))
    return result


def test_rmse_and_mae_by_hand():
    result = totals(([1, 2, 5], [2, 2, 3]), ([4], [2]))
    assert result.count == 4
    assert result.rmse == math.sqrt((1 + 0 + 4 + 4) / 4)
    assert result.mae == (1 + 0 + 2 + 2) / 4


def test_chunks_do_not_matter():
    predictions, ratings = np.random.default_rng(0).normal(3, 1, (2, 1000)).astype(np.float32)
    whole = totals((predictions, ratings))
    parts = totals(*((predictions[i : i + 7], ratings[i : i + 7]) for i in range(0, 1000, 7)))
    assert parts.count == whole.count
    assert (parts.rmse, parts.mae) == pytest.approx((whole.rmse, whole.mae), rel=1e-14)


def test_sums_do_not_drift_within_a_chunk():
    result = totals(([4096.0] + [1.0] * 999, [0.0] * 1000))  # float32 ends at 4096^2 = 2^24
    assert result.squared == 2**24 + 999
    assert result.absolute == 4096 + 999


def test_sums_do_not_drift_over_chunks():
    result = totals(([2.0**24], [0.0]), *([([1.0], [0.0])] * 500))
    assert result.squared == 2**48 + 500
    assert result.absolute == 2**24 + 500


def test_an_error_is_not_rounded_to_float32():
    assert totals(([2.0**24], [0.25])).absolute == 2**24 - 0.25


@pytest.mark.parametrize("chunks", [[], [([], [])]])
def test_no_pairs_have_no_error(chunks):
    result = totals(*chunks)
    assert result.count == 0
    assert math.isnan(result.rmse)
    assert math.isnan(result.mae)


def test_a_prediction_that_is_not_a_number_shows():
    assert math.isnan(totals(([1.0, math.nan], [1.0, 1.0])).rmse)
