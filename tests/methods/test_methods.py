"""What every method of training has in common."""

import pytest

from mascot_jax.methods import methods_of
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.settings.methods import METHODS

EARLY_EXIT = {"pruning": {"method": "early-exit", "rate": 0.3}}


@pytest.mark.parametrize(
    "values", [*({"method": name} for name in METHODS), EARLY_EXIT], ids=lambda v: v.get("method")
)
def test_methods_of_the_same_settings_are_equal(values):
    """An epoch is compiled for them: others would have it compiled again, epoch after epoch."""
    plan = validate(TrainSettings, values).plan()
    assert methods_of(plan) == methods_of(plan)
