"""The training loop: epochs, a check that factors are finite, and a record of each epoch."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from typing import Any, Final

import jax
import numpy as np
from numpy.typing import NDArray

from mascot_jax.distributed.workers import Workers
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.state import TrainState
from mascot_jax.errors import DivergenceError, PruningWarning
from mascot_jax.methods import pruning
from mascot_jax.methods.method import Judged
from mascot_jax.tables.groups import Grouping
from mascot_jax.tables.storage import by_code
from mascot_jax.tables.table import Table
from mascot_jax.training.checkpoint import Checkpoints
from mascot_jax.training.early_stopping import EarlyStopping
from mascot_jax.training.initial import initial_state
from mascot_jax.training.lists import HeldOutLists
from mascot_jax.training.problem import Prepared
from mascot_jax.training.records import EpochRecord, Progress, SideRecord
from mascot_jax.training.runner import Alone, Runner
from mascot_jax.training.shared import SharedTraining

LEAST_VISITED: Final = 0.01
"""Share of the components below which a training is warned of."""
_log = logging.getLogger(__name__)
OnEpoch = Callable[[EpochRecord, TrainState], bool | None]
"""Called after each epoch with its record and the new state; returns true to stop training."""


def begin(prepared: Prepared) -> Progress:
    """Return the progress before the first epoch: factors drawn from the seed, and their heads."""
    visits = prepared.users.visits, prepared.items.visits
    starts = prepared.users.starts, prepared.items.starts
    lift, heads = prepared.rule.lift, prepared.heads
    return Progress(initial_state(*starts, prepared.plan, lift=lift, visits=visits, heads=heads))


def train_state(
    prepared: Prepared,
    execution: Execution,
    on_epoch: OnEpoch | None = None,
    *,
    start: Progress | None = None,
    checkpoints: Checkpoints | None = None,
    workers: Workers | None = None,
) -> TrainState:
    """Train until the plan's ``epochs`` are done, or its ``patience`` runs out.

    Parameters
    ----------
    prepared
        Result of ``problem.prepare``.
    execution
        Execution options.
    on_epoch
        Called after each epoch with its record and the new state. It must not keep the state, which
        the next epoch updates in place. If it returns true, training ends there, without an error.
    start
        Progress to start from: what ``checkpoints.load`` returned, or the caller's own; factors
        drawn from the seed if None. Its state is donated to the first epoch.
    checkpoints
        Where to save progress: at intervals, and when training ends, early or not. Failure to write
        one is a ``CheckpointWarning`` and does not end training.
    workers
        Who shares the training; every process calls this alike. None: JAX's default device. Then
        ``on_epoch`` gets a state of ``training.shared``.

    Raises
    ------
    DivergenceError
        At the end of the first epoch whose factors are not all finite; the last checkpoint stays.
    ProcessError
        If another process has ended.

    Returns
    -------
    state
        After the last epoch; with patience, after the one with the lowest validation RMSE, or the
        highest NDCG.
    """
    progress, epochs = start or begin(prepared), prepared.plan.epochs
    records = list(progress.records)
    runner: Runner = Alone(prepared, execution)
    if workers is not None:
        runner = SharedTraining(prepared, execution, workers)
    best = None if progress.best is None else runner.begin(progress.best)
    progress = progress._replace(state=runner.begin(progress.state), best=best)
    state = progress.state
    stopping = _early_stopping(prepared.plan.patience, progress)
    jax.block_until_ready(state)
    stop = stopping is not None and stopping.over
    while not stop and int(state.epoch) < epochs:
        kept = checkpoints.kept if checkpoints is not None else ""
        state, record = _epoch(state, prepared, runner, execution, kept)
        records.append(record)
        _log.debug(
            "epoch %d of %d: %.3f s, validation RMSE %s, NDCG %s",
            record.epoch + 1,
            epochs,
            record.seconds,
            record.validation_rmse,
            record.validation_ndcg,
        )
        stop = runner.any(on_epoch is not None and bool(on_epoch(record, state)))
        if stopping is not None and record.judged_by is not None:
            stop |= stopping.add(record.judged_by, state)
        if checkpoints is not None:
            done = record.epoch + 1
            if checkpoints.due(done, last=stop or done == epochs):
                best = None if stopping is None else stopping.best
                runner.save(Progress(state, tuple(records), best), checkpoints)
    return runner.whole(state if stopping is None or stopping.best is None else stopping.best)


def _early_stopping(patience: int | None, progress: Progress) -> EarlyStopping | None:
    if patience is None:
        return None
    errors = [r.judged_by for r in progress.records if r.judged_by is not None]
    return EarlyStopping(patience, errors, progress.best)


def _epoch(
    state: TrainState, prepared: Prepared, runner: Runner, execution: Execution, kept: str
) -> tuple[TrainState, EpochRecord]:
    """Train for an epoch, check that its factors are finite, and score them."""
    epoch = int(state.epoch)
    # Copies: a view would keep the next epoch from updating in place.
    sides = (state.users, prepared.users), (state.items, prepared.items)
    user_codes, item_codes = (_used(np.array(table.codes), side) for table, side in sides)
    start = time.perf_counter()
    state, on_device = runner.epoch(state)
    seconds = time.perf_counter() - start
    report = jax.device_get(on_device)  # all at once: one wait, not one per array
    _check_finite(epoch, "user", user_codes, report.user_finite, state.users, kept)
    _check_finite(epoch, "item", item_codes, report.item_finite, state.items, kept)
    if pruning.is_due(prepared.plan, epoch + 1):
        start = time.perf_counter()
        state = pruning.begin(state, prepared.ratings, prepared.plan, execution)
        seconds += time.perf_counter() - start
    users, items = report.judged or (_unjudged(user_codes), _unjudged(item_codes))
    return state, EpochRecord(
        epoch,
        float(report.learning_rate),
        seconds,
        SideRecord(user_codes, *(_used(values, prepared.users) for values in users)),
        SideRecord(item_codes, *(_used(values, prepared.items) for values in items)),
        runner.rmse(prepared.validation, state),
        runner.rmse(prepared.test, state),
        None if report.word_length is None else int(report.word_length),
        _ndcg(prepared.validation_lists, state),
        _ndcg(prepared.test_lists, state),
        _visited(epoch, state, prepared, execution),
    )


def _visited(
    epoch: int, state: TrainState, prepared: Prepared, execution: Execution
) -> float | None:
    """Return the share of components that updates visit; warn if it is next to nothing."""
    share = pruning.visited(state, prepared.ratings, execution)
    if share is not None and share < LEAST_VISITED and pruning.is_due(prepared.plan, epoch + 1):
        warnings.warn(
            f"train.pruning early-exit visits {share:.2%} of the factors: nearly every update ends "
            "at once, and little is learned: try a smaller train.pruning.rate, or a larger "
            "train.pruning.epoch",
            PruningWarning,
            stacklevel=2,
        )
    return share


def _used(by_group: Any, grouping: Grouping) -> NDArray[Any]:
    """Return the entries of groups with rows; a table on a CPU has more (``engine.padding``)."""
    used: NDArray[Any] = by_group[: len(grouping.starts) - 1]
    return used


def _unjudged(codes: NDArray[np.uint8]) -> Judged:
    nothing: Any = np.full(len(codes), np.nan, dtype=np.float32)
    return Judged(nothing, nothing)


def _ndcg(held_out: HeldOutLists | None, state: TrainState) -> float | None:
    return None if held_out is None else held_out.score(state.users, state.items)


def _check_finite(
    epoch: int,
    name: str,
    codes: NDArray[np.uint8],
    finite: NDArray[np.uint8],
    table: Table,
    kept: str,
) -> None:
    bad = np.flatnonzero(finite == 0)
    if bad.size:
        group = int(bad[0])
        storage = by_code(table.stored)[int(codes[group])].name
        raise DivergenceError(
            f"training diverged in epoch {epoch}: factors of {name} group {group} "
            f"({storage}) are not finite (groups affected: {bad.size}); "
            f"try a smaller train.learning_rate or a larger regularisation{kept}"
        )
