"""The training loop: epochs, the check that they converge, and a record of each."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from mascot_jax.early_stopping import EarlyStopping
from mascot_jax.errors import DivergenceError
from mascot_jax.kernels import Execution
from mascot_jax.layout import lay_out
from mascot_jax.preparation import Prepared
from mascot_jax.presets import Switching
from mascot_jax.ratings import Ratings
from mascot_jax.scoring import HeldOut
from mascot_jax.settings import TrainSettings
from mascot_jax.state import Side, TrainState
from mascot_jax.storage import by_code
from mascot_jax.training import SideReport, train_epoch


class SideRecord(NamedTuple):
    """One side during an epoch."""

    codes: NDArray[np.uint8]
    """``(g,)``: the storage that each group was trained in."""
    q_error: NDArray[np.float32]
    """``(g,)``: NaN where it was not measured."""


class EpochRecord(NamedTuple):
    """What is known of an epoch when it is over."""

    epoch: int
    """From 0."""
    learning_rate: float
    seconds: float
    """Of this epoch, measuring and switching included."""
    users: SideRecord
    items: SideRecord
    validation_rmse: float | None
    """After it; None without ratings held out for that."""


OnEpoch = Callable[[EpochRecord, TrainState], None]


def fit(
    state: TrainState,
    ratings: Ratings | Prepared,
    settings: TrainSettings,
    execution: Execution,
    on_epoch: OnEpoch | None = None,
) -> TrainState:
    """Train until ``settings.epochs`` epochs are done, or ``settings.patience`` is at its end.

    Parameters
    ----------
    state
        Where to start from; donated to the first epoch.
    ratings
        What ``preparation.prepare`` made. Without validation and biases, ratings as they came or
        laid out will do: they are laid out as the settings ask where they are not yet.
    settings, execution
        As for ``train_epoch``.
    on_epoch
        Called after each epoch with its record and the new state, which it must not keep: the next
        epoch updates it in place.

    Raises
    ------
    DivergenceError
        At the end of the first epoch whose factors are not all finite.
    ValueError
        If the settings ask for what only prepared ratings have.

    Returns
    -------
    state
        After the last epoch; with patience, after the one with the lowest validation RMSE.
    """
    ratings, validation = _prepared(ratings, settings, state)
    stopping = None if settings.patience is None else EarlyStopping(settings.patience)
    jax.block_until_ready(state)
    codes = _codes(state)
    for epoch in range(int(state.epoch), settings.epochs):
        start = time.perf_counter()
        state, on_device = train_epoch(state, ratings, settings, execution)
        jax.block_until_ready(state)
        seconds = time.perf_counter() - start
        report = jax.device_get(on_device)  # all at once: one wait, not one per array
        _check_finite(epoch, "user", codes[0], report.users, state.users)
        _check_finite(epoch, "item", codes[1], report.items, state.items)
        rmse = None
        if validation is not None:
            rmse = validation.score(state.users, state.items, settings.factors, execution).rmse
        if on_epoch is not None:
            record = EpochRecord(
                epoch,
                float(report.learning_rate),
                seconds,
                SideRecord(codes[0], report.users.q_error),
                SideRecord(codes[1], report.items.q_error),
                rmse,
            )
            on_epoch(record, state)
        if stopping is not None and rmse is not None and stopping.add(rmse, state):
            break
        if settings.switching is not Switching.NONE:
            codes = _codes(state)
    return state if stopping is None or stopping.best is None else stopping.best


def _prepared(
    ratings: Ratings | Prepared, settings: TrainSettings, state: TrainState
) -> tuple[Ratings, HeldOut | None]:
    if isinstance(ratings, Prepared):
        return ratings.ratings, ratings.validation
    if settings.validation or settings.biases:
        raise ValueError("train.validation and train.biases need what preparation.prepare makes")
    starts = np.array(state.users.starts), np.array(state.items.starts)
    return lay_out(ratings, settings, *starts), None


def _codes(state: TrainState) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Copy the groups' storages: a view would keep the next epoch from updating in place."""
    return np.array(state.users.codes), np.array(state.items.codes)


def _check_finite(
    epoch: int, name: str, codes: NDArray[np.uint8], report: SideReport, side: Side
) -> None:
    bad = np.flatnonzero(report.finite == 0)
    if bad.size:
        group = int(bad[0])
        storage = by_code(side.tables)[int(codes[group])].name
        raise DivergenceError(
            f"training diverged in epoch {epoch}: factors of {name} group {group} "
            f"({storage}) are not finite (groups affected: {bad.size}); "
            "try a smaller train.learning_rate or a larger regularisation"
        )
