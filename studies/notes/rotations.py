"""What ``train.rotations`` costs: ``python -m studies.notes.rotations --data ml-1m.zip``.

Trains on five folds of MovieLens 1M with ``train.rotations`` and without, and prints the mean
difference of the test RMSE, with Student's 95 % interval over the (fold, seed) pairs.
"""

from __future__ import annotations

import itertools
import statistics
from pathlib import Path
from typing import Any

from benchmarks.harness.folds import make_fold, read_split
from benchmarks.harness.intervals import mean_interval
from benchmarks.harness.program import make_parser, write_result
from benchmarks.harness.trials import Trial, run_trials
from pipeline.common.hardware import describe_hardware

METHODS: dict[str, dict[str, Any]] = {
    "fp32": {"method": "fp32"},
    "fp16, stochastic, runs": {"method": "fp16", "rounding": "stochastic", "order": "runs"},
    "mascot": {"method": "mascot"},
    "mascot-int8": {"method": "mascot-int8"},
}


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the archive ml-1m.zip")
    parser.add_argument("--rotations", type=int, nargs="+", default=[2])
    parser.add_argument("--recipes", nargs="+", default=["tuned", "paper"])
    parser.add_argument("--factors", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    split = read_split(args.data)
    folds = {number: make_fold(split, number) for number in args.folds}
    records = []
    for recipe, factors, method in itertools.product(args.recipes, args.factors, args.methods):
        values = METHODS[method] | {"recipe": recipe, "factors": factors}
        found = {
            rotations: run_trials(
                [
                    Trial(method, fold, {**values, "seed": seed, "rotations": rotations})
                    for fold, seed in itertools.product(args.folds, args.seeds)
                ],
                folds,
            )
            for rotations in (None, *args.rotations)
        }
        for rotations in args.rotations:
            pairs = zip(found[rotations], found[None], strict=True)
            rmse = statistics.fmean(outcome.rmse for outcome in found[None])
            loss = mean_interval([one.rmse - other.rmse for one, other in pairs])
            records.append(
                {"recipe": recipe, "factors": factors, "method": method, "rotations": rotations}
                | {"rmse_without": rmse, "loss": loss._asdict()}
            )
            name = f"{recipe}, k = {factors}, {method}"
            print(f"{name}: {rmse:.4f} without; {rotations}: {loss}", flush=True)
    write_result(args.json, {"hardware": describe_hardware(), "results": records})


if __name__ == "__main__":
    main()
