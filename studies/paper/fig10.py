"""Fig. 10: the time of a training by how the group of a row is found, and by their number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from studies.paper.core.comparison import timed
from studies.paper.core.race import Variant
from studies.paper.core.stage import Case, Rows, run_figure

LOOKUPS: Final = {"naive": "per-row", "opt": "search", "ours": "direct"}
"""As of ``Execution``: what the paper calls MASCOT-naive and MASCOT-opt, and what is used here."""


def measure(case: Case) -> Mapping[str, Rows]:
    """Time MASCOT with each lookup and number of groups."""
    groups = case.grids.groups
    variants = [
        Variant(f"{name} {count}", {"method": "mascot"}, groups=count, lookup=lookup)
        for count in groups
        for name, lookup in LOOKUPS.items()
    ]
    outcomes = case.race(variants)
    rows = [
        {
            "lookup": name,
            "groups": count,
            **timed(outcomes[f"{name} {count}"], outcomes[f"naive {count}"]),
        }
        for count in groups
        for name in LOOKUPS
    ]
    return {"rows": rows}


if __name__ == "__main__":
    run_figure("fig10", measure)
