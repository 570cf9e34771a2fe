import numpy as np
import pytest

from mascot_jax.settings import TrainSettings, validate
from mascot_jax.training.schedule import learning_rates


def rates(**values):
    return learning_rates(validate(TrainSettings, values).plan())


def test_rates_decay_as_t_to_the_three_halves():
    expected = [0.01 / (1 + 0.1 * t**1.5) for t in range(50)]
    np.testing.assert_allclose(rates(), expected, rtol=1e-7)


def test_without_decay_the_rate_stays():
    assert set(rates(learning_rate=0.5, decay=0.0)) == {np.float32(0.5)}


def test_a_linear_schedule_would_be_zero_after_the_last_epoch():
    got = rates(schedule="linear", learning_rate=0.02, epochs=4)
    np.testing.assert_array_equal(got, np.float32([0.02, 0.015, 0.01, 0.005]))


@pytest.mark.parametrize("schedule", ["power", "linear"])
def test_rates_are_a_float32_per_epoch_that_nobody_can_change(schedule):
    got = rates(schedule=schedule, epochs=7)
    assert (got.dtype, got.shape) == (np.float32, (7,))
    with pytest.raises(ValueError, match="read-only"):
        got[0] = 1
