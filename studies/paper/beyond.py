"""Beyond the paper: error, bytes and time of what this library adds, beside the paper's methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from studies.paper.core.comparison import scored, timed
from studies.paper.core.quantities import quantity
from studies.paper.core.race import Scored, Variant
from studies.paper.core.stage import Case, Rows, run_figure

_STOCHASTIC: Final = {"method": "fp16", "rounding": "stochastic"}
VARIANTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "fp32": {"method": "fp32"},
    "fp32 runs": {"method": "fp32", "order": "runs"},
    "fp16 (N1)": {"method": "fp16"},
    "fp16 stochastic": _STOCHASTIC,
    "fp16 stochastic in runs": _STOCHASTIC | {"order": "runs"},
    "int8": {"method": "int8"},
    "mascot": {"method": "mascot"},
    "mascot with lost-update": {"method": "mascot", "criterion": "lost-update"},
    "mascot-int8": {"method": "mascot-int8"},
    "half": {"method": "half"},
    "mpt": {"method": "mpt"},
    "muppet": {"method": "muppet"},
    "afp": {"method": "afp"},
}


def measure(case: Case) -> Mapping[str, Rows]:
    """Train with every method, rounding and order that makes a difference."""
    variants = [Variant(name, values) for name, values in VARIANTS.items()]
    outcomes = case.race(variants, Scored.LAST)
    rows = [
        {
            "name": name,
            "settings": dict(VARIANTS[name]),
            **scored(runs, outcomes["fp32"]),
            "relative_bytes": quantity([run.relative_bytes for run in runs]),
            "relative_time": timed(runs, outcomes["fp32"])["relative_time"],
        }
        for name, runs in outcomes.items()
    ]
    return {"rows": rows}


if __name__ == "__main__":
    run_figure("beyond", measure)
