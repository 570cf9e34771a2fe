"""What quantised rows cost in accuracy, and save: ``python -m benchmarks.accuracy --help``.

Trains variants on the pipeline's five folds of MovieLens 1M with several seeds, all in a
deterministic order, and compares each with the ``fp32`` training of the same fold and seed. The
interval of the mean difference is Student's, over the (fold, seed) pairs. Bytes are those of all
row visits of a training, relative to float32. Exit status 1 says that a target was missed.
"""

from __future__ import annotations

import itertools
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.folds import make_fold, read_split
from benchmarks.harness.intervals import Interval, mean_interval
from benchmarks.harness.program import make_parser, write_result
from benchmarks.harness.targets import Target, exit_if_missed
from benchmarks.harness.trials import Outcome, Trial, run_trials
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.tables.storage import STORAGES
from pipeline.common.hardware import describe_hardware

REFERENCE = "fp32"
STOCHASTIC, INT8 = "fp16, stochastic", "mascot-int8"
_STOCHASTIC = {"method": "fp16", "rounding": "stochastic"}
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    REFERENCE: {"method": "fp32"},
    "fp32, group-blocks": {"method": "fp32", "order": "group-blocks"},
    "fp16": {"method": "fp16"},
    STOCHASTIC: _STOCHASTIC,
    "fp16, stochastic, runs": _STOCHASTIC | {"order": "runs"},
    "mascot": {"method": "mascot"},
    "mascot-n2": {"method": "mascot-n2"},
    "int8": {"method": "int8"},
    INT8: {"method": "mascot-int8"},
}
MOST_LOSS = {STOCHASTIC: 0.0003, INT8: 0.0008}
MOST_BYTES = {INT8: 0.42}
"""Targets: of the mean loss to ``fp32``, and of the bytes relative to float32."""

Pair = tuple[int, int]
"""A fold and a seed."""


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the archive ml-1m.zip")
    parser.add_argument("--factors", type=int, nargs="+", default=[128, 64])
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    options = parser.parse_args()
    names = list(dict.fromkeys([REFERENCE, *options.variants]))
    split = read_split(options.data)
    folds = {number: make_fold(split, number) for number in options.folds}
    pairs = list(itertools.product(options.folds, options.seeds))
    trials = [
        Trial(name, fold, {**VARIANTS[name], "factors": factors, "seed": seed})
        for factors, name, (fold, seed) in itertools.product(options.factors, names, pairs)
    ]
    outcomes = iter(run_trials(trials, folds))
    tables = []
    for factors in options.factors:
        found = {name: dict(zip(pairs, outcomes, strict=False)) for name in names}
        rows = [make_row(name, found[name], found[REFERENCE]) for name in names]
        sys.stdout.write(f"k = {factors}, {len(pairs)} pairs of a fold and a seed\n")
        _print(rows)
        reports = [target.report() for target in targets(rows)]
        tables.append({"factors": factors, "variants": rows, "targets": reports})
    result = {
        "data": "ml-1m",
        "folds": options.folds,
        "seeds": options.seeds,
        "settings": {name: _settings(name) for name in names},
        "hardware": describe_hardware(),
        "tables": tables,
    }
    write_result(options.json, result)
    exit_if_missed(report for table in tables for report in table["targets"])


def _settings(name: str) -> dict[str, Any]:
    plan = validate(TrainSettings, {**VARIANTS[name], "deterministic": True}).plan()
    return plan.model_dump(mode="json", exclude={"factors", "seed"})


def make_row(
    name: str, outcomes: Mapping[Pair, Outcome], reference: Mapping[Pair, Outcome]
) -> dict[str, Any]:
    """Summarise a variant; its pairs are the reference's."""
    losses = [outcome.rmse - reference[pair].rmse for pair, outcome in outcomes.items()]
    storages = [s for s in STORAGES if any(s in o.traffic for o in outcomes.values())]
    return {
        "name": name,
        "rmse": statistics.fmean(o.rmse for o in outcomes.values()),
        "loss": mean_interval(losses)._asdict(),
        "relative_bytes": statistics.fmean(o.relative_bytes for o in outcomes.values()),
        "traffic": {
            s: statistics.fmean(o.traffic.get(s, 0.0) for o in outcomes.values()) for s in storages
        },
        "losses": losses,
    }


def targets(rows: Sequence[Mapping[str, Any]]) -> list[Target]:
    """Return what these variants are held to."""
    found = []
    for row in rows:
        name = row["name"]
        if name in MOST_LOSS:
            found.append(Target(f"{name}: loss to fp32", row["loss"]["mean"], MOST_LOSS[name]))
        if name in MOST_BYTES:
            found.append(Target(f"{name}: bytes", row["relative_bytes"], MOST_BYTES[name]))
    return found


def _print(rows: Sequence[Mapping[str, Any]]) -> None:
    sys.stdout.write(f"{'variant':24}{'RMSE':>8}  {'loss to fp32':20}{'bytes':>7}  row visits\n")
    for row in rows:
        traffic = ", ".join(f"{name} {share:.2f}" for name, share in row["traffic"].items())
        loss = "" if row["name"] == REFERENCE else str(Interval(**row["loss"]))
        figures = f"{row['rmse']:8.4f}  {loss:20}{row['relative_bytes']:7.3f}  {traffic}"
        sys.stdout.write(f"{row['name']:24}{figures}\n")


if __name__ == "__main__":
    main()
