"""Fig. 8: the test RMSE of each method, epoch by epoch, and what it is at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from studies.paper.core.comparison import scored
from studies.paper.core.quantities import quantity
from studies.paper.core.race import Outcome, Scored, Variant
from studies.paper.core.stage import Case, Rows, run_figure

METHODS: Final = (
    "fp32",
    "half",
    "fp16",
    "mpt",
    "muppet",
    "afp",
    "mascot-n2",
    "mascot",
    "int8",
    "mascot-int8",
)


def measure(case: Case) -> Mapping[str, Rows]:
    """Score every method after each epoch."""
    variants = [Variant(method, {"method": method}) for method in METHODS]
    outcomes = case.race(variants, Scored.EACH)
    rows = [
        {
            "method": method,
            "epoch": epoch,
            "rmse": quantity([run.rmses[epoch] for run in runs]),
        }
        for method, runs in outcomes.items()
        for epoch in range(case.train.epochs)
    ]
    final = [
        {
            "method": method,
            **scored(runs, outcomes["fp32"]),
            "relative_bytes": quantity([run.relative_bytes for run in runs]),
            "events": events(runs[0]),
        }
        for method, runs in outcomes.items()
    ]
    return {"rows": rows, "final": final}


def events(run: Outcome) -> list[dict[str, Any]]:
    """Return the epochs in which a training's precision was another than in the one before.

    The first one is among them. Each has ``epoch`` and, of a method that chooses word lengths,
    ``word_length`` in bits; of any other, ``switched``: the share of the epoch's row visits that
    were not to the method's first storage. A method of one precision has no events.
    """
    words = [record.word_length for record in run.records]
    if any(word is not None for word in words):
        return _changes("word_length", words)
    return _changes("switched", run.switched) if any(run.switched) else []


def _changes(name: str, values: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {"epoch": epoch, name: value}
        for epoch, value in enumerate(values)
        if epoch == 0 or value != values[epoch - 1]
    ]


if __name__ == "__main__":
    run_figure("fig8", measure)
