"""Fig. 9: what MASCOT's two strategies do for time and error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from studies.paper.core.comparison import scored, timed
from studies.paper.core.race import Scored, Variant
from studies.paper.core.stage import Case, Rows, run_figure

METHODS: Final = ("fp32", "mascot-n1", "mascot-n2", "mascot")


def measure(case: Case) -> Mapping[str, Rows]:
    """Train without switching (N1), with switching of a side as a whole (N2), and of groups."""
    variants = [Variant(method, {"method": method}) for method in METHODS]
    outcomes = case.race(variants, Scored.LAST)
    reference = outcomes["fp32"]
    rows = [
        {
            "variant": method,
            **timed(runs, reference),
            **scored(runs, reference),
        }
        for method, runs in outcomes.items()
    ]
    return {"rows": rows}


if __name__ == "__main__":
    run_figure("fig9", measure)
