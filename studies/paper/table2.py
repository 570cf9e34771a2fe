"""Table II: the time and the error of MASCOT by how often, and of how much, it is measured."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from studies.paper.core.quantities import SIGNIFICANT, difference, p_value, quantity
from studies.paper.core.race import Scored, Variant
from studies.paper.core.settings import CHOSEN, NAIVE
from studies.paper.core.stage import Case, Rows, run_figure

Cell = tuple[int, float]
"""Period and sample ratio."""


def measure(case: Case) -> Mapping[str, Rows]:
    """Train MASCOT with each period and sample ratio; test the paper's choice against the naive."""
    cells = list(itertools.product(case.grids.periods, case.grids.sample_ratios))
    outcomes = case.race([_variant(cell) for cell in cells], Scored.LAST)
    values = {
        "seconds": {cell: [run.seconds for run in outcomes[str(cell)]] for cell in cells},
        "rmse": {cell: [run.rmse for run in outcomes[str(cell)]] for cell in cells},
    }
    rows = [
        {
            **_named(cell),
            **{name: quantity(of_cells[cell]) for name, of_cells in values.items()},
        }
        for cell in cells
    ]
    tests = [
        {"quantity": name, **compare(of_cells[CHOSEN], of_cells[NAIVE])}
        for name, of_cells in values.items()
    ]
    return {"rows": rows, "tests": tests}


def compare(chosen: Sequence[float], naive: Sequence[float]) -> dict[str, Any]:
    """Return the paired t-test of the paper's choice and the naive one, one value a repetition."""
    p = p_value(chosen, naive)
    return {
        "chosen": _named(CHOSEN),
        "naive": _named(NAIVE),
        "difference": difference(chosen, naive),
        "p_value": p,
        "significant": None if p is None else p < SIGNIFICANT,
    }


def _variant(cell: Cell) -> Variant:
    return Variant(str(cell), {"method": "mascot", **_named(cell)})


def _named(cell: Cell) -> dict[str, float]:
    return {"period": cell[0], "sample_ratio": cell[1]}


if __name__ == "__main__":
    run_figure("table2", measure)
