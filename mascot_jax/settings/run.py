"""How a training runs: what changes its time, not what it is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mascot_jax.errors import SettingsError
from mascot_jax.settings.train import TrainSettings
from mascot_jax.settings.validation import Settings

Backend = Literal["auto", "cpu", "cuda"]


class RunSettings(Settings):
    """How a training runs (``run``)."""

    backend: Backend = "auto"
    """Where to train; ``auto`` takes a GPU where it can do what is asked, else the CPU."""
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
    """CPU only: threads; null takes every core the process may use."""
    checkpoint_every: Annotated[int, Field(ge=1, le=1_000_000)] | None = 10
    """Epochs from one checkpoint to the next, where training is told where to keep them; null never
    writes one. A training that is cut short goes on from the last. The model is the same."""


def conflict(train: TrainSettings, run: RunSettings) -> str | None:
    """Return what of ``train`` the wanted back end cannot do, in a line; None if it can do all."""
    if run.backend == "cuda" and train.beyond_cuda:
        return f"run.backend: 'cuda': {train.beyond_cuda}: set run.backend to cpu or auto"
    return None


def backend_for(train: TrainSettings, run: RunSettings) -> Backend:
    """Return the back end to choose a device of: ``cpu`` where no other can do what is asked.

    Raises
    ------
    SettingsError
        If another one is insisted on.
    """
    line = conflict(train, run)
    if line is not None:
        raise SettingsError(line)
    return "cpu" if train.beyond_cuda else run.backend
