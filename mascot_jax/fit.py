"""The training loop: epochs, the check that they converge, and a record of each."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from mascot_jax.errors import DivergenceError
from mascot_jax.kernels import Execution
from mascot_jax.ratings import Ratings
from mascot_jax.settings import TrainSettings
from mascot_jax.state import TrainState
from mascot_jax.storage import BY_CODE
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


OnEpoch = Callable[[EpochRecord, TrainState], None]


def fit(
    state: TrainState,
    ratings: Ratings,
    settings: TrainSettings,
    execution: Execution,
    on_epoch: OnEpoch | None = None,
) -> TrainState:
    """Train until ``settings.epochs`` epochs are done.

    Parameters
    ----------
    state
        Where to start from; donated to the first epoch.
    ratings, settings, execution
        As for ``train_epoch``.
    on_epoch
        Called after each epoch with its record and the new state, which it must not keep: the next
        epoch updates it in place.

    Raises
    ------
    DivergenceError
        At the end of the first epoch whose factors are not all finite.
    """
    jax.block_until_ready(state)
    for epoch in range(int(state.epoch), settings.epochs):
        codes = np.array(state.users.codes), np.array(state.items.codes)
        start = time.perf_counter()
        state, report = train_epoch(state, ratings, settings, execution)
        jax.block_until_ready(state)
        seconds = time.perf_counter() - start
        _check_finite(epoch, "user", codes[0], report.users)
        _check_finite(epoch, "item", codes[1], report.items)
        if on_epoch is not None:
            record = EpochRecord(
                epoch,
                float(report.learning_rate),
                seconds,
                SideRecord(codes[0], np.asarray(report.users.q_error)),
                SideRecord(codes[1], np.asarray(report.items.q_error)),
            )
            on_epoch(record, state)
    return state


def _check_finite(epoch: int, side: str, codes: NDArray[np.uint8], report: SideReport) -> None:
    bad = np.flatnonzero(np.asarray(report.finite) == 0)
    if bad.size:
        group = int(bad[0])
        raise DivergenceError(
            f"training diverged in epoch {epoch}: factors of {side} group {group} "
            f"({BY_CODE[int(codes[group])].name}) are not finite (groups affected: {bad.size}); "
            "try a smaller train.learning_rate or a larger regularisation"
        )
