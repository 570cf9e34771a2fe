import math

import pytest

from studies.notes.criteria import Point, loss_at


def test_a_loss_between_two_points_lies_on_their_line():
    points = [Point(0.9, 0.004), Point(0.5, 0.001), Point(0.7, 0.002)]
    assert loss_at(points, 0.6) == pytest.approx(0.0015)
    assert loss_at(points, 0.7) == pytest.approx(0.002)
    assert loss_at(points, 0.85) == pytest.approx(0.0035)


@pytest.mark.parametrize("share", [0.49, 0.91])
def test_beyond_the_points_nothing_is_known(share):
    assert math.isnan(loss_at([Point(0.5, 0.001), Point(0.9, 0.004)], share))
