"""The training loop: epochs, the check that they converge, and a record of each."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.layout import lay_out
from mascot_jax.engine.ratings import Ratings
from mascot_jax.engine.state import TrainState
from mascot_jax.errors import DivergenceError
from mascot_jax.settings import TrainSettings
from mascot_jax.tables.storage import by_code
from mascot_jax.tables.table import Side
from mascot_jax.training.checkpoint import Checkpoints
from mascot_jax.training.early_stopping import EarlyStopping
from mascot_jax.training.epoch import SideReport, train_epoch
from mascot_jax.training.problem import Prepared
from mascot_jax.training.records import EpochRecord, Progress, SideRecord
from mascot_jax.training.scoring import HeldOut
from mascot_jax.training.signals import wait_for

OnEpoch = Callable[[EpochRecord, TrainState], bool | None]
"""Returns true to stop training."""


def fit(
    start: TrainState | Progress,
    ratings: Ratings | Prepared,
    settings: TrainSettings,
    execution: Execution,
    on_epoch: OnEpoch | None = None,
    *,
    test: HeldOut | None = None,
    checkpoints: Checkpoints | None = None,
) -> TrainState:
    """Train until ``settings.epochs`` epochs are done, or ``settings.patience`` is at its end.

    Parameters
    ----------
    start
        Where to start from: initial factors, or what ``checkpoints.load`` returned. Its state is
        donated to the first epoch.
    ratings
        What ``preparation.prepare`` made. Without validation and biases, ratings as they came or
        laid out will do: they are laid out as the settings ask where they are not yet.
    settings, execution
        As for ``train_epoch``.
    on_epoch
        Called after each epoch with its record and the new state, which it must not keep: the next
        epoch updates it in place. If it returns true, training ends here; the caller, who asked for
        that, gets what there is.
    test
        Ratings to score after each epoch for the record; they decide nothing.
    checkpoints
        Where to keep what there is: every so many epochs, and when training ends, for whatever
        reason. One that cannot be written is a ``CheckpointWarning``, not the end.

    Raises
    ------
    DivergenceError
        At the end of the first epoch whose factors are not all finite; the last checkpoint stays.
    ValueError
        If the settings ask for what only prepared ratings have.

    Returns
    -------
    state
        After the last epoch; with patience, after the one with the lowest validation RMSE.
    """
    progress = start if isinstance(start, Progress) else Progress(start)
    state, records = progress.state, list(progress.records)
    ratings, validation = _prepared(ratings, settings, state)
    held_out = _HeldOut(validation, test)
    stopping = _early_stopping(settings, progress)
    jax.block_until_ready(state)
    stop = stopping is not None and stopping.over
    while not stop and int(state.epoch) < settings.epochs:
        state, record = _epoch(state, ratings, held_out, settings, execution, checkpoints)
        records.append(record)
        stop = on_epoch is not None and bool(on_epoch(record, state))
        if stopping is not None and record.validation_rmse is not None:
            stop |= stopping.add(record.validation_rmse, state)
        if checkpoints is not None:
            done = record.epoch + 1
            if checkpoints.due(done, last=stop or done == settings.epochs):
                best = None if stopping is None else stopping.best
                checkpoints.save(Progress(state, tuple(records), best))
    return state if stopping is None or stopping.best is None else stopping.best


class _HeldOut(NamedTuple):
    validation: HeldOut | None
    test: HeldOut | None


def _prepared(
    ratings: Ratings | Prepared, settings: TrainSettings, state: TrainState
) -> tuple[Ratings, HeldOut | None]:
    if isinstance(ratings, Prepared):
        return ratings.ratings, ratings.validation
    if settings.validation or settings.biases:
        raise ValueError("train.validation and train.biases need what preparation.prepare makes")
    starts = np.array(state.users.starts), np.array(state.items.starts)
    return lay_out(ratings, settings, *starts), None


def _early_stopping(settings: TrainSettings, progress: Progress) -> EarlyStopping | None:
    if settings.patience is None:
        return None
    rmses = [r.validation_rmse for r in progress.records if r.validation_rmse is not None]
    return EarlyStopping(settings.patience, rmses, progress.best)


def _epoch(
    state: TrainState,
    ratings: Ratings,
    held_out: _HeldOut,
    settings: TrainSettings,
    execution: Execution,
    checkpoints: Checkpoints | None,
) -> tuple[TrainState, EpochRecord]:
    """Train for an epoch, check that its factors are finite, and score them."""
    epoch, codes = int(state.epoch), _copies(state.users.codes, state.items.codes)
    start = time.perf_counter()
    state, on_device = train_epoch(state, ratings, settings, execution)
    wait_for(state)
    seconds = time.perf_counter() - start
    report = jax.device_get(on_device)  # all at once: one wait, not one per array
    kept = checkpoints.kept if checkpoints is not None else ""
    _check_finite(epoch, "user", codes[0], report.users, state.users, kept)
    _check_finite(epoch, "item", codes[1], report.items, state.items, kept)
    validation_rmse, test_rmse = (
        None
        if scored is None
        else scored.score(state.users, state.items, settings.factors, execution).rmse
        for scored in held_out
    )
    baselines = _copies(state.users.baseline, state.items.baseline)
    return state, EpochRecord(
        epoch,
        float(report.learning_rate),
        seconds,
        SideRecord(codes[0], report.users.q_error, baselines[0]),
        SideRecord(codes[1], report.items.q_error, baselines[1]),
        validation_rmse,
        test_rmse,
        None if report.word_length is None else int(report.word_length),
    )


def _copies(*arrays: jax.Array) -> list[NDArray[Any]]:
    """Copy small arrays to the host: a view would keep the next epoch from updating in place."""
    return [np.array(array) for array in arrays]


def _check_finite(
    epoch: int, name: str, codes: NDArray[np.uint8], report: SideReport, side: Side, kept: str
) -> None:
    bad = np.flatnonzero(report.finite == 0)
    if bad.size:
        group = int(bad[0])
        storage = by_code(side.tables)[int(codes[group])].name
        raise DivergenceError(
            f"training diverged in epoch {epoch}: factors of {name} group {group} "
            f"({storage}) are not finite (groups affected: {bad.size}); "
            f"try a smaller train.learning_rate or a larger regularisation{kept}"
        )
