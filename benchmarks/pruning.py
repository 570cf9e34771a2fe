"""What pruned training saves, and costs: ``python -m benchmarks.pruning --help``.

With ``--data``, trainings on the pipeline's five folds of MovieLens 1M, with several seeds, that
are projected onto fewer factors after some epochs, beside those of all factors and of as few from
the start; losses are to all factors, of the same fold and seed. Then the CPU seconds of whole
trainings on the first fold, projection included, all variants in turn. With ``--shape``, those of
an epoch of each width and of the projection, in turn, on ratings of that shape, and what they make
of a training of 32 epochs. With ``--widths``, the time of an epoch by width. With ``--rates``,
trainings of that data whose updates end at the first factor near zero, by rate. Exit status 1 says
that a target was missed.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from benchmarks.harness.early_exit import rmse_to_stop
from benchmarks.harness.folds import make_fold, read_split
from benchmarks.harness.intervals import Interval, mean_interval
from benchmarks.harness.program import make_parser, write_result
from benchmarks.harness.targets import Target, exit_if_missed
from benchmarks.harness.timing import in_turn, time_rounds
from benchmarks.harness.trials import Outcome, Trial, run_trials
from benchmarks.harness.variants import Maker
from benchmarks.harness.workload import MOST_RATINGS, make_workload
from mascot_jax.data.synthetic.generator import SHAPES
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.state import TrainState
from mascot_jax.errors import PruningWarning
from mascot_jax.methods import pruning
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.training.epoch import train_epoch
from mascot_jax.training.loop import begin, train_state
from mascot_jax.training.problem import Problem, prepare
from mascot_jax.training.records import EpochRecord
from pipeline.common.hardware import describe_hardware

T = TypeVar("T")
FULL: Final = 128
"""Factors to begin with."""
EPOCHS: Final = 32
"""Of the recipe ``tuned``."""
WIDTHS: Final = (32, 48, 64, 80, 96, 112, 128)


class Family(NamedTuple):
    """Trainings to compare with one another: the first is that of all factors."""

    values: Mapping[str, Any]
    pruned: tuple[tuple[int, int], ...]
    """Epochs with all factors, and the factors to go on with."""
    most_loss: float | None = None
    """Target: of the first of them to all factors, in RMSE."""
    least_speed: float | None = None
    """Target: its speed, as a multiple of all factors'."""


TUNED: Final = {"recipe": "tuned", "biases": None, "deterministic": True}
FP16: Final[dict[str, Any]] = {"method": "fp16", "rounding": "stochastic", "order": "runs"}
FAMILIES: Final[Mapping[str, Family]] = {
    "fp32": Family(TUNED | {"method": "fp32"}, ((8, 64), (2, 64), (8, 32)), 0.0006, 1.4),
    "fp16, stochastic, runs": Family(TUNED | FP16, ((8, 64),), 0.0006, 1.4),
    "int8": Family(TUNED | {"method": "int8"}, ((8, 64),), 0.002),
    "fp32, paper's recipe": Family(
        {"method": "fp32", "biases": False, "deterministic": True}, ((8, 32),), 0.0004, 2.0
    ),
}
RATES: Final = (0.0, 0.1, 0.3, 0.5, 0.7)
_LINEAR: Final = {"schedule": "linear", "epochs": 32, "learning_rate": 0.015}
RECIPES: Final[Mapping[str, Mapping[str, Any]]] = {
    "linear steps": _LINEAR | {"user_reg": 0.05, "item_reg": 0.035},
    "paper's": {},
}
"""Of ``--rates``: without biases, of ratings in their own units."""
ON_SHAPES: Final = {"fp32": 1.8, "fp16, stochastic, runs": 1.55}
"""Targets: the speed of 8 epochs of 128 factors, then of 64."""

Pair = tuple[int, int]
"""A fold and a seed."""


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, help="the archive ml-1m.zip")
    parser.add_argument("--shape", choices=SHAPES)
    parser.add_argument("--widths", action="store_true")
    parser.add_argument("--rates", action="store_true")
    parser.add_argument("--families", nargs="*", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--ratings", type=int, default=MOST_RATINGS, help="at most, of the shape")
    parser.add_argument("--repetitions", type=int, default=5, help="0: nothing is timed")
    parser.add_argument("--threads", type=int, default=1, help="of what is timed")
    options = parser.parse_args()
    if not options.repetitions and (options.shape or options.widths):
        parser.error("--repetitions 0: --shape and --widths have nothing but times")
    result: dict[str, Any] = {"threads": options.threads, "hardware": describe_hardware()}
    targets: list[Target] = []
    if options.data is not None:
        result |= {"data": "ml-1m", "folds": options.folds, "seeds": options.seeds}
        if options.families:
            result["families"] = _on_folds(options, targets)
        if options.rates:
            result["rates"] = _rates(options)
    if options.shape is not None:
        result |= {"shape": options.shape, "epochs": _on_shape(options, targets)}
    if options.widths:
        result["widths"] = _widths(options)
    reports = [target.report() for target in targets]
    write_result(options.json, result | {"targets": reports})
    exit_if_missed(reports)


def variants(family: Family) -> dict[str, dict[str, Any]]:
    """Return the settings of a family's trainings by name; each width also from the start."""
    all_factors = {**family.values, "factors": FULL}
    found = {f"{FULL}": all_factors}
    for epoch, kept in family.pruned:
        found[f"{kept} from the start"] = {**family.values, "factors": kept}
        project = {"method": "project", "factors": kept, "epoch": epoch}
        found[f"{FULL}, after {epoch} epochs {kept}"] = {**all_factors, "pruning": project}
    return found


def _on_folds(options: argparse.Namespace, targets: list[Target]) -> list[dict[str, Any]]:
    split = read_split(options.data)
    folds = {number: make_fold(split, number) for number in options.folds}
    pairs = list(itertools.product(options.folds, options.seeds))
    tables = []
    for name in options.families:
        family = FAMILIES[name]
        outcomes = iter(
            run_trials(
                [
                    Trial(variant, fold, {**values, "seed": seed})
                    for variant, values in variants(family).items()
                    for fold, seed in pairs
                ],
                folds,
            )
        )
        found = {v: dict(zip(pairs, outcomes, strict=False)) for v in variants(family)}
        seconds = _seconds(folds[options.folds[0]], family, options)
        rows = [_row(v, found, seconds) for v in found]
        sys.stdout.write(f"{name}, {len(pairs)} pairs of a fold and a seed\n")
        _print(rows)
        tables.append({"family": name, "variants": rows})
        targets += _targets(name, family, rows)
    return tables


def _row(
    name: str, found: Mapping[str, Mapping[Pair, Outcome]], seconds: Mapping[str, list[float]]
) -> dict[str, Any]:
    outcomes, reference = found[name], found[f"{FULL}"]
    losses = [outcome.rmse - reference[pair].rmse for pair, outcome in outcomes.items()]
    took, whole = (statistics.median(seconds[n] or [math.nan]) for n in (name, f"{FULL}"))
    first = int(name.split(",")[0].split()[0])  # factors that it begins with
    return {
        "name": name,
        "rmse": statistics.fmean(o.rmse for o in outcomes.values()),
        "loss": mean_interval(losses)._asdict(),
        "relative_bytes": first
        / FULL
        * statistics.fmean(o.relative_bytes for o in outcomes.values()),
        **({"seconds": took, "speed": whole / took} if seconds[name] else {}),
    }


def _seconds(fold: Problem, family: Family, options: argparse.Namespace) -> dict[str, list[float]]:
    """Return the CPU seconds of whole trainings, projection included, one value a round."""
    execution = Execution(options.threads)
    seconds: dict[str, list[float]] = {name: [] for name in variants(family)}
    if not options.repetitions:
        return seconds
    for (name, values), counts in in_turn(variants(family).items(), options.repetitions):
        plan = fold.plan(validate(TrainSettings, values), "cpu")
        prepared = prepare(fold._replace(test=None), plan, execution)
        took, _ = _timed(partial(train_state, prepared, execution))
        if counts:
            seconds[name].append(took)
    return seconds


def _timed(run: Callable[[], T]) -> tuple[float, T]:
    """Return the CPU seconds of all threads: a machine may have other work to do."""
    begin = time.process_time()
    result = jax.block_until_ready(run())
    return time.process_time() - begin, result


def _keep(records: list[EpochRecord], record: EpochRecord, _: TrainState) -> None:
    records.append(record)


def _targets(name: str, family: Family, rows: Sequence[Mapping[str, Any]]) -> list[Target]:
    row = rows[2]  # the first that is pruned
    found = []
    if family.most_loss is not None:
        found.append(Target(f"{name}: {row['name']}: loss", row["loss"]["mean"], family.most_loss))
    if family.least_speed is not None and "speed" in row:
        found.append(
            Target(f"{name}: {row['name']}: speed", row["speed"], family.least_speed, at_most=False)
        )
    return found


def _print(rows: Sequence[Mapping[str, Any]]) -> None:
    head = f"{'factors':24}{'RMSE':>9}  {'loss':20}{'bytes':>7}{'CPU s':>9}{'speed':>7}\n"
    sys.stdout.write(head)
    for row in rows:
        loss = "" if row is rows[0] else str(Interval(**row["loss"]))
        figures = f"{row['relative_bytes']:7.3f}"
        if "seconds" in row:
            figures += f"{row['seconds']:9.3f}{row['speed']:7.2f}"
        sys.stdout.write(f"{row['name']:24}{row['rmse']:9.5f}  {loss:20}{figures}\n")
    sys.stdout.flush()


def _rates(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Train with early exit on the first fold by each rate, in turn."""
    fold = make_fold(read_split(options.data), options.folds[0])
    head = f"{'recipe':14}{'rate':>6}{'RMSE':>9}{'pruned':>9}{'visited':>9}{'CPU time':>18}"
    sys.stdout.write(head + "\n")
    runs: dict[tuple[str, float], list[dict[str, float]]] = {
        key: [] for key in itertools.product(RECIPES, RATES)
    }
    for (recipe, rate), counts in in_turn(runs, options.repetitions):
        found = _early_exit(fold, RECIPES[recipe], rate, Execution(options.threads))
        if counts or not options.repetitions:
            runs[recipe, rate].append(found)
    rows = []
    for (recipe, rate), own in runs.items():
        took, plain = (
            statistics.median(run["seconds"] for run in some) for some in (own, runs[recipe, 0.0])
        )
        row = {"recipe": recipe, "rate": rate, **own[0], "seconds": took, "time": took / plain}
        rows.append(row)
        figures = f"{row['rmse']:9.4f}{row['rmse_pruned']:9.4f}{row['visited']:9.4f}"
        sys.stdout.write(f"{recipe:14}{rate:6}{figures}{row['time']:18.2f}\n")
    return rows


def _early_exit(
    fold: Problem, values: Mapping[str, Any], rate: float, execution: Execution
) -> dict[str, float]:
    early = {"method": "early-exit", "rate": rate, "epoch": 2}
    given = {"method": "fp32", "factors": FULL, "deterministic": True, "biases": False}
    plan = fold.plan(validate(TrainSettings, {**given, **values, "pruning": early}), "cpu")
    records: list[EpochRecord] = []
    prepared = prepare(fold, plan, execution)
    assert prepared.test is not None
    assert fold.test is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PruningWarning)  # the table says it
        took, state = _timed(
            partial(train_state, prepared._replace(test=None), execution, partial(_keep, records))
        )
    visited = records[-1].visited
    rmse_pruned = rmse_to_stop(state, fold.test, prepared.rule, execution)
    assert visited is not None
    assert rmse_pruned is not None
    return {
        "rmse": prepared.test.score(state.users, state.items, execution).rmse,
        "rmse_pruned": rmse_pruned,
        "visited": visited,
        "seconds": took,
    }


def _on_shape(options: argparse.Namespace, targets: list[Target]) -> list[dict[str, Any]]:
    problem = make_workload(options.shape, most=options.ratings)
    execution, rows = Execution(options.threads), []
    for name in options.families:
        if name not in ON_SHAPES:
            continue
        row = {"family": name, **_steps(problem, FAMILIES[name], execution, options.repetitions)}
        rows.append(row)
        sys.stdout.write(
            f"{name}: epoch of 128 factors {row['wide']:.3f} s, of 64 {row['narrow']:.3f} s, "
            f"projection {row['projection']:.3f} s; {EPOCHS} epochs {row['speed']:.2f} times as "
            f"fast, of 64 from the start {row['uniform_speed']:.2f}\n"
        )
        targets += [
            Target(f"{name}: speed of a training", row["speed"], ON_SHAPES[name], at_most=False),
            Target(f"{name}: projection, in epochs", row["projection"] / row["wide"], 1.0),
        ]
    return rows


def _steps(problem: Problem, family: Family, execution: Execution, rounds: int) -> dict[str, float]:
    """Time an epoch of 128 factors, the projection after it, and an epoch of 64, in turn."""
    project = {"method": "project", "factors": 64, "epoch": 8}
    # So small that no factor grows, however often an epoch is repeated.
    values = {**family.values, "factors": FULL, "pruning": project, "epochs": EPOCHS}
    plan = problem.plan(validate(TrainSettings, values | {"learning_rate": 1e-3}), "cpu")
    prepared = prepare(problem, plan, execution)
    epoch = partial(train_epoch, ratings=prepared.ratings, plan=plan, execution=execution)
    seconds: dict[str, list[float]] = {"wide": [], "projection": [], "narrow": []}

    def run(state: TrainState, number: int) -> tuple[float, TrainState]:
        took, (state, _) = _timed(lambda: epoch(state._replace(epoch=jnp.uint32(number))))
        return took, state

    for _, counts in in_turn([None], rounds):
        state = begin(prepared).state
        jax.block_until_ready(state)
        _, state = run(state, 0)
        wide, state = run(state, 7)
        projection, state = _timed(partial(pruning.begin, state, prepared.ratings, plan, execution))
        _, state = run(state, 8)
        narrow, state = run(state, 9)
        if counts:
            for name, took in zip(seconds, (wide, projection, narrow), strict=True):
                seconds[name].append(took)
    found = {name: statistics.median(took) for name, took in seconds.items()}
    whole = EPOCHS * found["wide"]
    pruned = 8 * found["wide"] + found["projection"] + (EPOCHS - 8) * found["narrow"]
    return found | {
        "speed": whole / pruned,
        "uniform_speed": found["wide"] / found["narrow"],
        "ratings": len(problem.ratings),
    }


def _widths(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Time an epoch by width, on ratings of MovieLens 1M's shape, which lie in the caches."""
    base = Maker(make_workload("ml-1m"), FULL, Execution(options.threads))
    kinds: dict[str, dict[str, Any]] = {"fp32": {"method": "fp32"}, "fp16, stochastic, runs": FP16}
    epochs = [
        base.alike(width, base.execution).epoch(f"{kind} {width}", deterministic=True, **values)
        for kind, values in kinds.items()
        for width in WIDTHS
    ]
    timings = time_rounds(epochs, options.repetitions, in_a_row=5)
    rows = []
    for kind in kinds:
        times = {width: timings.ratio(f"{kind} {width}", f"{kind} {FULL}") for width in WIDTHS}
        rows.append({"family": kind, "time": times})
        cells = ", ".join(f"{width}: {time:.2f}" for width, time in times.items())
        sys.stdout.write(f"{kind}: time of an epoch over that of {FULL} factors: {cells}\n")
    return rows


if __name__ == "__main__":
    main()
