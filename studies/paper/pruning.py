"""Pruned training: early exit, a published method; projection; and fewer factors from the start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mascot_jax.settings import PruningSettings
from studies.paper.core.comparison import timed
from studies.paper.core.quantities import difference, quantity, ratio
from studies.paper.core.race import Outcome, Scored, Variant
from studies.paper.core.stage import Case, Rows, run_figure

FULL: Final = "fp32"
"""The variant of all factors, which is never pruned."""


def measure(case: Case) -> Mapping[str, Rows]:
    """Train pruned in every way of the profile, and with as few factors from the start."""
    variants, methods = [Variant(FULL, {"method": "fp32"})], {FULL: FULL}
    for name, (method, values) in ways(case.grids.pruning, case.train.factors).items():
        variants.append(Variant(name, {"method": "fp32", **values}))
        methods[name] = method
    outcomes = case.race(variants, Scored.LAST)
    reference = [run.rmse for run in outcomes[FULL]]
    rows = []
    for variant in variants:
        runs = outcomes[variant.name]
        errors = list(map(error_of, runs))
        share = variant.values.get("factors", case.train.factors) / case.train.factors
        rows.append(
            {
                "method": methods[variant.name],
                "name": variant.name,
                "rmse": quantity(errors),
                "loss": difference(errors, reference),
                "relative_error": ratio(errors, reference),
                "whole_rmse": quantity([run.rmse for run in runs]),
                "visited": quantity([share * run.visited for run in runs]),
                "relative_time": timed(runs, outcomes[FULL])["relative_time"],
            }
        )
    return {"rows": rows}


def ways(
    prunings: Sequence[PruningSettings], factors: int
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the method and the settings of each way to prune, and of its rival, by name.

    The rival of a projection has as few factors from the start.
    """
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for pruning in prunings:
        values = {"pruning": pruning.model_dump(exclude_none=True)}
        if pruning.factors is None:
            found[f"early exit, rate {pruning.rate:g}"] = ("early-exit", values)
            continue
        name = f"{pruning.epoch} epochs {factors}, then {pruning.factors}"
        found[name] = ("project", values)
        found[f"{pruning.factors} from the start"] = ("uniform", {"factors": pruning.factors})
    return found


def error_of(run: Outcome) -> float:
    """Return the test RMSE of the predictions that a method makes: they end where updates do."""
    return run.rmse if run.rmse_to_stop is None else run.rmse_to_stop


if __name__ == "__main__":
    run_figure("pruning", measure)
