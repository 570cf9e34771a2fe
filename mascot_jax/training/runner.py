"""What the loop asks of whoever runs the epochs: one device, or several workers."""

from __future__ import annotations

from typing import Protocol

from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.state import TrainState
from mascot_jax.training.checkpoint import Checkpoints
from mascot_jax.training.epoch import EpochReport, train_epoch
from mascot_jax.training.problem import Prepared
from mascot_jax.training.records import Progress
from mascot_jax.training.scoring import HeldOut
from mascot_jax.training.signals import wait_for


class Runner(Protocol):
    """Runs the epochs of one training."""

    def begin(self, state: TrainState) -> TrainState:
        """Return a state on one device as the runner holds it; it is donated."""

    def epoch(self, state: TrainState) -> tuple[TrainState, EpochReport]:
        """Train for an epoch, and wait until it is done; the state is donated."""

    def rmse(self, held_out: HeldOut | None, state: TrainState) -> float | None:
        """Return the RMSE on held-out ratings; None without any."""

    def any(self, stop: bool) -> bool:
        """Return whether any process is to stop."""

    def save(self, progress: Progress, checkpoints: Checkpoints) -> None:
        """Write a checkpoint of progress whose states are as the runner holds them."""

    def whole(self, state: TrainState) -> TrainState:
        """Return a state of the runner on JAX's default device."""


class Alone:
    """Runs epochs on JAX's default device."""

    def __init__(self, prepared: Prepared, execution: Execution) -> None:
        self._prepared, self._execution = prepared, execution

    def begin(self, state: TrainState) -> TrainState:
        """Return the state itself, and so does ``whole``."""
        return state

    whole = begin

    def epoch(self, state: TrainState) -> tuple[TrainState, EpochReport]:
        """Train for an epoch, and wait until it is done; the state is donated."""
        ratings, plan = self._prepared.ratings, self._prepared.plan
        state, report = train_epoch(state, ratings, plan, self._execution)
        wait_for(state)
        return state, report

    def rmse(self, held_out: HeldOut | None, state: TrainState) -> float | None:
        """Return the RMSE on held-out ratings; None without any."""
        if held_out is None:
            return None
        return held_out.score(state.users, state.items, self._execution).rmse

    def save(self, progress: Progress, checkpoints: Checkpoints) -> None:
        """Write a checkpoint."""
        checkpoints.save(progress)

    def any(self, stop: bool) -> bool:
        """Return whether to stop."""
        return stop
