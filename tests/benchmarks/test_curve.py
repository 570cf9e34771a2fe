import numpy as np

from benchmarks.harness.curve import Curve

CURVE = Curve(np.array([0.5, 1.0, 1.5, 2.0]), np.array([0.95, 0.85, 0.84, 0.845]))


def test_the_first_epoch_at_or_below_the_goal_counts():
    assert (CURVE.epochs_to(0.85), CURVE.seconds_to(0.85)) == (2, 1.0)
    assert (CURVE.epochs_to(0.8449), CURVE.seconds_to(0.8449)) == (3, 1.5)
    assert CURVE.best == 0.84


def test_a_goal_may_never_come():
    assert CURVE.epochs_to(0.83) is None
    assert CURVE.seconds_to(0.83) is None
