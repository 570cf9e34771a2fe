"""Is the default never worse than biases or factors alone? ``python -m benchmarks.thinned --help``.

MovieLens 100K and 1M, split in five anew by each seed; the training ratings are thinned to a share.
The default, in ``fp32``, is compared with biases and with factors that know only one scale and one
strength. Both have their settings chosen for each share on a tenth of the first seed's training
ratings: dampings, and step size, regularisation and whether biases are fitted first. RMSE on the
test ratings, mean of the seeds. Exit status 1 says that a target was missed.
"""

from __future__ import annotations

import itertools
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from benchmarks.harness.folds import make_fold, read_split
from benchmarks.harness.program import make_parser, write_result
from benchmarks.harness.targets import Target, exit_if_missed
from mascot_jax.base.biases import Biases, Damping, fit_biases
from mascot_jax.engine.cores import usable_cores
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.prediction import ColdRule
from mascot_jax.engine.ratings import Triples
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.training.loop import train_state
from mascot_jax.training.problem import Problem, prepare
from mascot_jax.training.scoring import HeldOut, score_baselines
from pipeline.common.hardware import describe_hardware

SHARES: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
MOST_LOSS: Final = 0.003
"""Target: of the default's RMSE over the better of the two, relative."""
DAMPINGS: Final = (1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0)
DEFAULT: Final = {"method": "fp32", "recipe": "tuned", "order": "runs", "biases": None}
FACTORS: Final = DEFAULT | {"recipe": "paper", "epochs": 32, "schedule": "linear"}
RATES, REGS, BIASES = (0.015, 0.03, 0.06), (0.05, 0.1, 0.2), (False, True)
ITEM_SHARE: Final = 0.7
"""Regularisation of items / that of users."""
HELD_OUT: Final = 0.1


class Row(NamedTuple):
    """One data set at one share: RMSE, mean of the seeds."""

    data: str
    share: float
    per_row: float
    """Ratings for each user and item."""
    mean: float
    biases: float
    factors: float
    default: float
    damping: Damping
    settings: dict[str, Any]

    @property
    def loss(self) -> float:
        """The default's RMSE over that of the better one, relative; negative if it is the best."""
        return self.default / min(self.biases, self.factors) - 1


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="ml-100k.zip or ml-1m.zip")
    parser.add_argument("--shares", type=float, nargs="+", default=list(SHARES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--factors", type=int, default=128)
    parser.add_argument("--threads", type=int, default=usable_cores())
    options = parser.parse_args()
    execution, name = Execution(options.threads), options.data.stem
    head = ("share", "a row", "mean", "biases", "factors", "default", "loss %")
    sys.stdout.write(name + "".join(f"{title:>10}" for title in head) + "\n")
    splits = [read_split(options.data, name, seed) for seed in options.seeds]
    rows = []
    for share in options.shares:
        folds = [make_fold(split, 0, share) for split in splits]
        rows.append(_row(name, share, folds, options.factors, execution))
        _print(rows[-1])
    targets = [Target(f"loss at {r.share:g}", r.loss, MOST_LOSS) for r in rows]
    reports = [target.report() for target in targets]
    result = {
        "data": name,
        "seeds": options.seeds,
        "factors": options.factors,
        "hardware": describe_hardware(),
        "rows": [row._asdict() | {"loss": row.loss} for row in rows],
        "targets": reports,
    }
    write_result(options.json, result)
    exit_if_missed(reports)


def _row(name: str, share: float, folds: list[Problem], factors: int, run: Execution) -> Row:
    shorter, held_out = _validation(folds[0])
    damping = min(
        (Damping(*pair) for pair in itertools.product(DAMPINGS, DAMPINGS)),
        key=lambda pair: _without_factors(shorter, held_out, pair)[1],
    )
    settings = min(
        _grid(), key=lambda values: _with_factors(shorter, held_out, values, factors, run)
    )
    baselines = [_without_factors(fold, _test(fold), damping) for fold in folds]
    tuned = [_with_factors(fold, _test(fold), settings, factors, run) for fold in folds]
    default = [_with_factors(fold, _test(fold), DEFAULT, factors, run) for fold in folds]
    users, items = folds[0].users, folds[0].items
    return Row(
        name,
        share,
        len(folds[0].ratings) / (users.warm_rows + items.warm_rows),
        statistics.fmean(mean for mean, _ in baselines),
        statistics.fmean(biases for _, biases in baselines),
        statistics.fmean(tuned),
        statistics.fmean(default),
        damping,
        settings,
    )


def _grid() -> Iterator[dict[str, Any]]:
    for rate, reg, biases in itertools.product(RATES, REGS, BIASES):
        reg_of_both = {"user_reg": reg, "item_reg": round(ITEM_SHARE * reg, 4)}
        yield FACTORS | reg_of_both | {"learning_rate": rate, "biases": biases}


def _validation(fold: Problem) -> tuple[Problem, Triples]:
    """Return a fold without the last tenth of its training ratings, and that tenth."""
    ratings = fold.ratings
    first = len(ratings) - round(HELD_OUT * len(ratings))
    users, items, values = ratings.host()
    rest = ratings.without(first, np.ones(len(ratings) - first, dtype=np.bool_))
    return fold._replace(ratings=rest), (users[first:], items[first:], values[first:])


def _test(fold: Problem) -> Triples:
    assert fold.test is not None
    return fold.test


def _without_factors(fold: Problem, test: Triples, damping: Damping) -> tuple[float, float]:
    """Return the RMSE of the mean, and of biases with this damping."""
    users, items, values = fold.ratings.host()
    mean = float(values.mean(dtype=np.float64))
    counts = fold.ratings.user_count, fold.ratings.item_count
    fitted = fit_biases(users, items, values, *counts, mean=mean, damping=damping)
    biases = Biases(*(bias.astype(np.float32) for bias in fitted))
    found = score_baselines(test, ColdRule(mean, 0, 0), biases)
    assert found.rmse_of_mean is not None
    assert found.rmse_of_biases is not None
    return found.rmse_of_mean, found.rmse_of_biases


def _with_factors(
    fold: Problem, test: Triples, values: dict[str, Any], factors: int, run: Execution
) -> float:
    plan = fold.plan(validate(TrainSettings, values | {"factors": factors}), "cpu")
    prepared = prepare(fold._replace(test=None), plan, run)
    state = train_state(prepared, run)
    return HeldOut(*test, prepared.rule).score(state.users, state.items, run).rmse


def _print(row: Row) -> None:
    figures = (row.mean, row.biases, row.factors, row.default)
    cells = "".join(f"{figure:10.4f}" for figure in figures)
    name = " " * len(row.data)
    sys.stdout.write(f"{name}{row.share:10g}{row.per_row:10.1f}{cells}{100 * row.loss:10.2f}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
