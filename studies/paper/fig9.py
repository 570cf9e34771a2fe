"""Fig. 9: what MASCOT's two strategies do for time and error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from studies.paper.core.quantities import difference, quantity, ratio
from studies.paper.core.race import Scored, Variant
from studies.paper.core.stage import Case, Rows, run_figure

METHODS: Final = ("fp32", "mascot-n1", "mascot-n2", "mascot")


def measure(case: Case) -> Mapping[str, Rows]:
    """Train without switching (N1), with switching of a side as a whole (N2), and of groups."""
    variants = [Variant(method, {"method": method}) for method in METHODS]
    outcomes = case.race(variants, Scored.LAST)
    seconds = {method: [run.seconds for run in runs] for method, runs in outcomes.items()}
    rmses = {method: [run.rmse for run in runs] for method, runs in outcomes.items()}
    rows = [
        {
            "data": case.data,
            "variant": method,
            "seconds": quantity(seconds[method]),
            "relative_time": ratio(seconds[method], seconds["fp32"]),
            "rmse": quantity(rmses[method]),
            "loss": difference(rmses[method], rmses["fp32"]),
        }
        for method in METHODS
    ]
    return {"rows": rows}


if __name__ == "__main__":
    run_figure("fig9", measure)
