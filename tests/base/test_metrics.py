import math

from mascot_jax.base.metrics import ErrorTotals


def test_rmse_and_mae_by_hand():
    totals = ErrorTotals(squared=1.0 + 0 + 4 + 4, absolute=1.0 + 0 + 2 + 2, count=4)
    assert totals.rmse == 1.5
    assert totals.mae == 1.25


def test_no_pairs_have_no_error():
    totals = ErrorTotals(0.0, 0.0, 0)
    assert math.isnan(totals.rmse)
    assert math.isnan(totals.mae)
