"""What it costs that GPUs visit a step's blocks at once: ``python -m studies.notes.steps --help``.

Trains on folds of MovieLens 1M with ``train.rotations``, as one process does, block by block; and
as so many GPUs do that share the training (docs/scale.md), but one rating after the other: in each
step, pieces of 64 ratings of all blocks that a GPU holds, in random order. Prints the mean
difference of the test RMSE from a training without rotations, with Student's 95 % interval over
the folds. What ratings in flight cost besides is in ``studies.notes.collisions``.
"""

from __future__ import annotations

import dataclasses
import statistics
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.folds import make_fold, read_split
from benchmarks.harness.intervals import mean_interval
from benchmarks.harness.program import make_parser, write_result
from benchmarks.harness.trials import Trial, run_trials
from mascot_jax.distributed.division import Division, divide
from mascot_jax.distributed.steps import steps_of
from mascot_jax.engine.kernels import Execution, run_epoch
from mascot_jax.engine.padding import LEAST_RATINGS, pad, padded_size
from mascot_jax.engine.ratings import Ratings, extent_of
from mascot_jax.engine.state import TrainState
from mascot_jax.settings import TrainPlan, TrainSettings, validate
from mascot_jax.tables.table import Table
from mascot_jax.training.epoch import Fixed, operands_of, operands_of_visits
from mascot_jax.training.loop import begin
from mascot_jax.training.problem import Problem, prepare
from pipeline.common.hardware import describe_hardware

PIECE = 64
"""``kPiece`` of ffi/cuda/order.cuh."""
ONE = Execution(1)


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the archive ml-1m.zip")
    parser.add_argument("--gpus", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--rotations", type=int, default=2)
    parser.add_argument("--recipe", default="tuned")
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    args = parser.parse_args()
    split = read_split(args.data)
    folds = {number: make_fold(split, number) for number in args.folds}
    values = {"method": "fp32", "recipe": args.recipe, "factors": args.factors}
    rotating = values | {"rotations": args.rotations}

    def by_blocks(values: dict[str, object]) -> list[float]:
        return [x.rmse for x in run_trials([Trial("", n, values) for n in folds], folds)]

    without = by_blocks(values)
    found = {"block by block": by_blocks(rotating)}
    for gpus in args.gpus:
        found[f"{gpus} GPUs"] = [by_steps(fold, rotating, gpus) for fold in folds.values()]
    print(f"{statistics.fmean(without):.4f} without rotations")
    losses = {}
    for name, each in found.items():
        loss = mean_interval([a - b for a, b in zip(each, without, strict=True)])
        losses[name] = loss._asdict()
        print(f"{name}: {loss}")
    settings = rotating | {"rmse_without": statistics.fmean(without)}
    write_result(args.json, {"hardware": describe_hardware(), **settings, "loss": losses})


def by_steps(fold: Problem, values: dict[str, object], gpus: int) -> float:
    """Return the test RMSE of a training as so many GPUs visit ratings, one after the other."""
    plan = fold.plan(validate(TrainSettings, values), "cpu")
    prepared = prepare(fold, plan, ONE)
    assert prepared.test is not None
    division = divide(prepared.ratings, prepared.users.starts, prepared.items.starts, gpus)
    state = begin(prepared).state
    for epoch in range(plan.epochs):
        for part in parts(division, plan.seed, epoch):
            state = visit(state, some(prepared.ratings, part), plan)
        state = state._replace(epoch=state.epoch + jnp.uint32(1))
    return prepared.test.score(state.users, state.items, ONE).rmse


def parts(division: Division, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """Return the numbers of the ratings that each worker visits in each step of an epoch."""
    steps, begin = steps_of(division, seed, epoch), division.begin
    blocks = steps.turns.astype(np.int64) @ np.array([len(division.sides[1]), 1])
    owner = division.owner[steps.turns[:, division.stays]]
    found = []
    for first, last in zip(steps.begin[: steps.used], steps.begin[1:], strict=False):
        for worker in range(division.workers):
            mine = blocks[first:last][owner[first:last] == worker]
            found.append(np.concatenate([np.arange(begin[b], begin[b + 1]) for b in mine]))
    return found


def some(ratings: Ratings, chosen: NDArray[np.int64]) -> Ratings:
    """Return some of the ratings, to be visited in pieces."""
    size = padded_size(len(chosen), LEAST_RATINGS)
    users, items, values = (jnp.asarray(pad(c[chosen], size)) for c in ratings.host())
    return dataclasses.replace(
        ratings,
        users=users,
        items=items,
        ratings=values,
        user_count=0,
        item_count=0,
        strata=None,
        conflict_free=False,
        rotations=0,
        extent=extent_of(len(chosen)),
        block_size=PIECE,
    )


def visit(state: TrainState, ratings: Ratings, plan: TrainPlan) -> TrainState:
    """Visit these ratings in the order of their pieces."""
    scalars, fixed = operands_of(plan, ONE)
    rates, counters = operands_of_visits(state, scalars, {})
    visited = _visit(state.users, state.items, ratings, rates, counters, fixed)
    return state._replace(users=visited[0], items=visited[1])


@partial(jax.jit, static_argnames="fixed", donate_argnums=(0, 1))
def _visit(
    users: Table,
    items: Table,
    ratings: Ratings,
    rates: jax.Array,
    counters: jax.Array,
    fixed: Fixed,
) -> tuple[Table, Table]:
    return run_epoch(ratings, users, items, rates, counters, **fixed._asdict())[:2]


if __name__ == "__main__":
    main()
