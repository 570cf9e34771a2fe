"""What a variant's repetitions took and led to, beside a reference's."""

from __future__ import annotations

from collections.abc import Sequence

from studies.paper.core.quantities import Quantity, difference, quantity, ratio
from studies.paper.core.race import Outcome


def timed(runs: Sequence[Outcome], reference: Sequence[Outcome]) -> dict[str, Quantity]:
    """Return ``seconds`` of whole trainings, and ``relative_time`` to the same repetitions."""
    seconds, others = ([run.seconds for run in side] for side in (runs, reference))
    return {"seconds": quantity(seconds), "relative_time": ratio(seconds, others)}


def scored(runs: Sequence[Outcome], reference: Sequence[Outcome]) -> dict[str, Quantity]:
    """Return ``rmse`` after the last epoch, and its ``loss`` to the same repetitions."""
    rmses, others = ([run.rmse for run in side] for side in (runs, reference))
    return {"rmse": quantity(rmses), "loss": difference(rmses, others)}
