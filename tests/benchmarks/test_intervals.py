import math

import numpy as np
import pytest

from benchmarks.harness.intervals import Interval, mean_interval


def test_the_interval_is_students():
    # s = 1, t(2) = 4.302653
    assert mean_interval([1.0, 2.0, 3.0]) == pytest.approx((2.0, 4.302653 / math.sqrt(3)), abs=1e-6)


def test_it_holds_the_true_mean_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(1.0, 2.0, (4000, 4))
    intervals = [mean_interval(row.tolist()) for row in draws]
    held = [abs(i.mean - 1.0) <= i.half_width for i in intervals]
    assert sum(held) / len(held) == pytest.approx(0.95, abs=0.015)


def test_one_value_has_no_interval():
    mean, half_width = mean_interval([0.25])
    assert mean == 0.25
    assert math.isnan(half_width)


def test_it_is_printed_with_its_sign():
    assert str(Interval(0.00012, 0.000034)) == "+0.00012 ± 0.00003"
    assert str(Interval(-0.5, math.nan)) == "-0.50000 ± -"
