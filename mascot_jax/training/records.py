"""Progress of a training: a record of each epoch, and what the next one depends on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mascot_jax.engine.state import TrainState


class SideRecord(NamedTuple):
    """Record of one side in an epoch; g groups."""

    codes: NDArray[np.uint8]
    """``(g,)``: storage that each group was trained in."""
    q_error: NDArray[np.float32]
    """``(g,)``: error by the criterion; NaN if not measured."""
    baseline: NDArray[np.float32]
    """``(g,)``: error that later ones are compared with; NaN if there is none yet."""


class EpochRecord(NamedTuple):
    """Record of a finished epoch."""

    epoch: int
    """Number of the epoch, from 0."""
    learning_rate: float
    seconds: float
    """Duration of the epoch, including measuring, switching and the start of pruning after it."""
    users: SideRecord
    items: SideRecord
    validation_rmse: float | None
    """RMSE on held-out ratings after the epoch; None without any."""
    test_rmse: float | None
    """RMSE on test ratings after the epoch; None without any."""
    word_length: int | None = None
    """Bits that updates were computed in, 32 for float32; None if the method does not choose
    them."""
    validation_ndcg: float | None = None
    """With interactions: NDCG of lists of 10 on held-out ones after the epoch; None without any."""
    test_ndcg: float | None = None
    """The same on test interactions."""
    visited: float | None = None
    """Share of the components that updates visit, at the factors after the epoch; None unless the
    pruning is ``early-exit``."""

    @property
    def judged_by(self) -> float | None:
        """What early stopping minimises; None if nothing is held out."""
        if self.validation_ndcg is not None:
            return -self.validation_ndcg
        return self.validation_rmse


class Progress(NamedTuple):
    """All that the rest of a training depends on, besides its ratings and settings."""

    state: TrainState
    records: tuple[EpochRecord, ...] = ()
    """Records of all epochs so far."""
    best: TrainState | None = None
    """With patience: state after the epoch with the lowest validation RMSE so far."""
