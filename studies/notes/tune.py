"""RMSE of settings on held-out training ratings: ``python -m studies.notes.tune --help``.

Trains on MovieLens 1M with every combination of the values given, without a tenth of the training
ratings of each fold, and scores the epochs on this tenth: never on the ratings that test the fold.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.harness.folds import make_fold, read_split
from benchmarks.harness.program import make_parser, write_result
from mascot_jax.engine.cores import usable_cores
from mascot_jax.engine.kernels import Execution
from mascot_jax.settings import TrainPlan, TrainSettings, validate
from mascot_jax.settings.methods import RECIPES, Recipe
from mascot_jax.training.loop import train_state
from mascot_jax.training.problem import Problem, prepare
from mascot_jax.training.records import EpochRecord
from pipeline.common.hardware import describe_hardware

SHARE = 0.1
NEAR = 0.0005
"""An epoch is near the best one if its RMSE is at most so much higher."""
TUNED = RECIPES["tuned"]


class Cell(NamedTuple):
    """Mean over the folds for one combination."""

    values: dict[str, Any]
    rmse: float
    """At the best epoch."""
    best: float
    """Epochs until then."""
    near: float
    """Epochs until near it."""

    def row(self) -> dict[str, Any]:
        """Return values and figures side by side."""
        return self.values | {"rmse": self.rmse, "best": self.best, "near": self.near}


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the archive ml-1m.zip")
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--share", type=float, default=1.0, help="of the training ratings to use")
    parser.add_argument("--factors", type=int, nargs="+", default=[128])
    parser.add_argument("--epochs", type=int, nargs="+", default=[TUNED.epochs])
    parser.add_argument("--schedule", nargs="+", default=[TUNED.schedule])
    for name in ("learning_rate", "user_reg", "item_reg"):
        default = [getattr(TUNED, name)]
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, nargs="+", default=default)
    parser.add_argument("--decay", type=float, nargs="+", default=[None])
    parser.add_argument("--biases", type=int, choices=(0, 1), nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=usable_cores())
    options = parser.parse_args()
    split = read_split(options.data)
    folds = [make_fold(split, number, options.share) for number in options.folds]
    grid = list(_grid(options))
    cells = [
        _measure(values, folds, Execution(options.threads)) for values in tqdm(grid, disable=None)
    ]
    cells.sort(key=lambda cell: cell.rmse)
    _print(cells)
    result = {
        "folds": options.folds,
        "share": options.share,
        "hardware": describe_hardware(),
        "cells": [cell.row() for cell in cells],
    }
    write_result(options.json, result)


def _grid(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    names = ("factors", *Recipe._fields, "biases")
    for values in itertools.product(*(getattr(options, name) for name in names)):
        yield dict(zip(names, values, strict=True))


def _measure(values: dict[str, Any], folds: list[Problem], execution: Execution) -> Cell:
    given = values | {"biases": bool(values["biases"])}
    common = {"method": "fp32", "deterministic": True, "validation": SHARE, "recipe": "tuned"}
    plan = validate(TrainSettings, common | given).plan()
    curves = [_validate(fold, plan, execution) for fold in folds]
    best = [curve.argmin() + 1 for curve in curves]
    near = [np.flatnonzero(curve <= curve.min() + NEAR)[0] + 1 for curve in curves]
    rmses = [curve.min() for curve in curves]
    return Cell(values, *(float(np.mean(figures)) for figures in (rmses, best, near)))


def _validate(fold: Problem, plan: TrainPlan, execution: Execution) -> NDArray[np.float64]:
    """Return the RMSE on the held-out ratings after each epoch."""
    records: list[EpochRecord] = []
    prepared = prepare(fold._replace(test=None), plan, execution)
    train_state(prepared, execution, lambda record, _: records.append(record))
    return np.array([record.validation_rmse for record in records], dtype=np.float64)


def _print(cells: list[Cell]) -> None:
    names = list(cells[0].values)
    head = "".join(f"{name:>15}" for name in names)
    sys.stdout.write(f"{head}{'RMSE':>10}{'best epoch':>12}{'near it':>9}\n")
    for cell in cells:
        row = "".join(f"{'-' if v is None else v:>15}" for v in cell.values.values())
        sys.stdout.write(f"{row}{cell.rmse:10.4f}{cell.best:12.1f}{cell.near:9.1f}\n")


if __name__ == "__main__":
    main()
