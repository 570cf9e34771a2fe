"""Fig. 1 and 7: the time of a training by each method, relative to fp32."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from studies.paper.core.comparison import timed
from studies.paper.core.race import Variant
from studies.paper.core.stage import Case, Rows, run_figure

METHODS: Final = ("fp32", "half", "fp16", "mpt", "muppet", "afp", "mascot")


def measure(case: Case) -> Mapping[str, Rows]:
    """Time whole trainings by every method, with each number of factors."""
    rows = [row for factors in case.grids.factors for row in _rows(case, factors)]
    return {"rows": rows}


def _rows(case: Case, factors: int) -> Rows:
    variants = [Variant(method, {"method": method, "factors": factors}) for method in METHODS]
    outcomes = case.race(variants)
    return [
        {
            "factors": factors,
            "method": method,
            **timed(runs, outcomes["fp32"]),
        }
        for method, runs in outcomes.items()
    ]


if __name__ == "__main__":
    run_figure("fig7", measure)
