"""How far a training has come: a record of each epoch, and what the next one depends on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mascot_jax.engine.state import TrainState


class SideRecord(NamedTuple):
    """One side during an epoch, g groups."""

    codes: NDArray[np.uint8]
    """``(g,)``: the storage that each group was trained in."""
    q_error: NDArray[np.float32]
    """``(g,)``: NaN where it was not measured."""
    baseline: NDArray[np.float32]
    """``(g,)``: what the next ones are compared with; NaN where there is none yet."""


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
    test_rmse: float | None
    """After it; None without test ratings."""
    word_length: int | None = None
    """Bits that updates were computed in, where the method chooses them; 32: float32."""


class Progress(NamedTuple):
    """All that the rest of a training depends on, besides its ratings and settings."""

    state: TrainState
    records: tuple[EpochRecord, ...] = ()
    """Of all epochs so far."""
    best: TrainState | None = None
    """With patience: the state after the epoch with the lowest validation RMSE so far."""
