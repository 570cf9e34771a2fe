"""Fig. 11: the time and the error of MASCOT by the number of groups."""

from __future__ import annotations

from collections.abc import Mapping

from studies.paper.core.quantities import quantity
from studies.paper.core.race import Scored, Variant
from studies.paper.core.stage import Case, Rows, run_figure


def measure(case: Case) -> Mapping[str, Rows]:
    """Train MASCOT with each number of groups."""
    groups = case.grids.groups
    variants = [Variant(str(count), {"method": "mascot"}, groups=count) for count in groups]
    outcomes = case.race(variants, Scored.LAST)
    rows = [
        {
            "groups": count,
            "seconds": quantity([run.seconds for run in outcomes[str(count)]]),
            "rmse": quantity([run.rmse for run in outcomes[str(count)]]),
        }
        for count in groups
    ]
    return {"rows": rows}


if __name__ == "__main__":
    run_figure("fig11", measure)
