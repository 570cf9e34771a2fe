"""Which criterion promotes the right groups: ``python -m studies.notes.criteria --help``.

Trains ``mascot``, its float16 rows rounded to nearest, on MovieLens 1M with several thresholds of
each criterion and several seeds, in a deterministic order. Each threshold is a point: the share of
the row visits of the whole training that went to float16, and the test RMSE above that of the
``fp32`` training of the same fold and seed. A criterion's loss at a given share lies on the line
between the two points beside it. Intervals are Student's, over the (fold, seed) pairs.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness.folds import make_fold, read_split
from benchmarks.harness.intervals import Interval, mean_interval
from benchmarks.harness.program import make_parser, write_result
from benchmarks.harness.trials import Outcome, Trial, run_trials
from mascot_jax.methods.switching import GRADIENT_DIVERSITY, LOST_UPDATE
from pipeline.common.hardware import describe_hardware

THRESHOLDS: Mapping[str, Sequence[float]] = {
    GRADIENT_DIVERSITY: (5.0, 10.0, 20.0, 40.0),
    LOST_UPDATE: (0.2, 0.3, 0.35, 0.4),
}
SHARES = (0.7, 0.75, 0.8, 0.85)
"""Of the row visits, to float16, at which criteria are compared."""


class Point(NamedTuple):
    """A training with one threshold."""

    share: float
    """Of its row visits, to float16."""
    loss: float
    """RMSE above that of ``fp32``."""


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the archive ml-1m.zip")
    parser.add_argument("--factors", type=int, default=128)
    parser.add_argument("--folds", type=int, nargs="+", default=[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES)
    for name, default in THRESHOLDS.items():
        parser.add_argument(f"--{name}", type=float, nargs="+", default=default)
    options = parser.parse_args()
    thresholds = {name: getattr(options, name.replace("-", "_")) for name in THRESHOLDS}
    pairs = list(itertools.product(options.folds, options.seeds))
    points = _train(options.data, thresholds, pairs, options.factors)
    rows = [
        {
            "criterion": name,
            "threshold": threshold,
            "share": mean_interval([curve[i].share for curve in points[name]]).mean,
            "loss": mean_interval([curve[i].loss for curve in points[name]])._asdict(),
        }
        for name in thresholds
        for i, threshold in enumerate(thresholds[name])
    ]
    comparisons = [_compare(points, share) for share in options.shares]
    _print(rows, comparisons)
    result = {
        "data": "ml-1m",
        "factors": options.factors,
        "folds": options.folds,
        "seeds": options.seeds,
        "hardware": describe_hardware(),
        "thresholds": rows,
        "equal_traffic": comparisons,
    }
    write_result(options.json, result)


def _train(
    archive: Path,
    thresholds: Mapping[str, Sequence[float]],
    pairs: Sequence[tuple[int, int]],
    factors: int,
) -> dict[str, list[list[Point]]]:
    """Return criterion -> (fold, seed) pair -> threshold -> point."""
    split = read_split(archive)
    folds = {number: make_fold(split, number) for number in dict(pairs)}
    trials = []
    for fold, seed in pairs:
        same = {"factors": factors, "seed": seed}
        trials.append(Trial("fp32", fold, {"method": "fp32", **same}))
        for name in thresholds:
            for threshold in thresholds[name]:
                values = {"method": "mascot", "criterion": name, "threshold": threshold}
                trials.append(Trial(name, fold, {**values, **same}))
    outcomes = iter(run_trials(trials, folds))
    points: dict[str, list[list[Point]]] = {name: [] for name in thresholds}
    for _ in pairs:
        reference = next(outcomes).rmse
        for name in thresholds:
            points[name].append([_point(next(outcomes), reference) for _ in thresholds[name]])
    return points


def _point(outcome: Outcome, reference: float) -> Point:
    return Point(outcome.traffic.get("float16", 0.0), outcome.rmse - reference)


def loss_at(points: Sequence[Point], share: float) -> float:
    """Return the loss at a share of float16 by the line through the points beside it.

    NaN beyond the points.
    """
    shares, losses = zip(*sorted(points), strict=True)
    return float(np.interp(share, shares, losses, left=np.nan, right=np.nan))


def _compare(points: Mapping[str, Sequence[Sequence[Point]]], share: float) -> dict[str, Any]:
    """Return each criterion's loss at a share of float16, and how much less the second one's is."""
    losses = {name: [loss_at(curve, share) for curve in points[name]] for name in points}
    saved = np.subtract(losses[GRADIENT_DIVERSITY], losses[LOST_UPDATE]).tolist()
    intervals = {name: mean_interval(found)._asdict() for name, found in losses.items()}
    return {"share": share, **intervals, "saved": mean_interval(saved)._asdict()}


def _print(rows: Sequence[Mapping[str, Any]], comparisons: Sequence[Mapping[str, Any]]) -> None:
    sys.stdout.write(f"{'criterion':22}{'threshold':>10}{'in float16':>12}  loss to fp32\n")
    for row in rows:
        figures = f"{row['threshold']:10g}{row['share']:12.3f}  {Interval(**row['loss'])}"
        sys.stdout.write(f"{row['criterion']:22}{figures}\n")
    head = "".join(f"{name:24}" for name in (*THRESHOLDS, "difference"))
    sys.stdout.write(f"{'in float16':>12}  {head}\n")
    for row in comparisons:
        cells = "".join(f"{Interval(**row[name])!s:24}" for name in (*THRESHOLDS, "saved"))
        sys.stdout.write(f"{row['share']:12.2f}  {cells}\n")


if __name__ == "__main__":
    main()
