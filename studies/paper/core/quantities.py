"""What is made of a quantity's values in a few repetitions: mean, interval, paired comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from benchmarks.harness.intervals import mean_interval

SIGNIFICANT: Final = 0.05
"""Below this p-value, as in the paper."""

Quantity = dict[str, Any]
"""``mean``; ``low`` and ``high`` of Student's 95 % interval, None of one value; and ``values``, one
a repetition."""


def quantity(values: Sequence[float]) -> Quantity:
    """Return the mean of at least one value, and its interval."""
    mean, half_width = mean_interval(values)
    sure = not math.isnan(half_width)
    return {
        "mean": mean,
        "low": mean - half_width if sure else None,
        "high": mean + half_width if sure else None,
        "values": list(values),
    }


def ratio(values: Sequence[float], reference: Sequence[float]) -> Quantity:
    """Return values to those of the same repetitions of a reference."""
    return quantity([value / of for value, of in zip(values, reference, strict=True)])


def difference(values: Sequence[float], reference: Sequence[float]) -> Quantity:
    """Return by how much values lie above those of the same repetitions of a reference."""
    return quantity([value - of for value, of in zip(values, reference, strict=True)])


def p_value(values: Sequence[float], others: Sequence[float]) -> float | None:
    """Return the p-value of the paired, two-sided t-test that two quantities have the same mean.

    None where it says nothing: of one repetition, or where all differences are 0.
    """
    if len(values) < 2 or all(value == other for value, other in zip(values, others, strict=True)):
        return None
    from scipy.stats import ttest_rel  # only where a test is made: it takes long to import

    return float(ttest_rel(values, others).pvalue)
