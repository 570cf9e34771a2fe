"""Many deterministic trainings on folds of MovieLens 1M, one on each core at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from tqdm import tqdm

from mascot_jax.engine.cores import usable_cores
from mascot_jax.engine.kernels import Execution
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.tables.traffic import Traffic, relative_bytes
from mascot_jax.training.loop import train_state
from mascot_jax.training.problem import Problem, prepare


class Trial(NamedTuple):
    """A training to be done."""

    name: str
    """Of the variant."""
    fold: int
    values: Mapping[str, Any]
    """Settings, ``factors`` and ``seed`` among them; those of the paper where there are none."""


class Outcome(NamedTuple):
    """What came of it."""

    rmse: float
    """On the test ratings, after the last epoch."""
    traffic: Mapping[str, float]
    """Storage -> share of the row visits of the whole training."""
    relative_bytes: float
    """Of these visits, to those of float32."""


def run_trials(trials: Sequence[Trial], folds: Mapping[int, Problem]) -> list[Outcome]:
    """Train them all; their order and the number of cores have no part in the outcomes."""
    # Epochs release Python's lock.
    with ThreadPoolExecutor(usable_cores()) as pool:
        outcomes = pool.map(lambda trial: _run(trial, folds[trial.fold]), trials)
        return list(tqdm(outcomes, total=len(trials), desc="trainings", disable=None))


def _run(trial: Trial, fold: Problem) -> Outcome:
    plan = fold.plan(validate(TrainSettings, {**trial.values, "deterministic": True}), "cpu")
    execution = Execution(threads=1)
    traffic = Traffic(fold.users.visits, fold.items.visits, plan.storages)
    prepared = prepare(fold, plan, execution)
    assert prepared.test is not None
    state = train_state(
        prepared._replace(test=None),  # scored once, at the end
        execution,
        lambda record, _: traffic.add_epoch(
            record.users.codes, record.items.codes, plan.pruned_to(record.epoch)
        ),
    )
    rmse = prepared.test.score(state.users, state.items, execution).rmse
    return Outcome(rmse, traffic.shares, relative_bytes(traffic.shares, plan.factors))
