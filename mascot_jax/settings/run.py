"""Settings that change how long a training takes, not what it computes."""

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
    """Where to train; ``auto`` takes a GPU if it supports the other settings, else the CPU."""
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
    """CPU only: number of threads; null takes every core that the process may use."""
    checkpoint_every: Annotated[int, Field(ge=1, le=1_000_000)] | None = 10
    """Epochs between checkpoints, if training has a place to keep them; null never writes one. An
    interrupted training goes on from the last one. The model is the same."""


def conflict(train: TrainSettings, run: RunSettings) -> str | None:
    """Return a line on what of ``train`` the chosen back end cannot do; None if it can do all."""
    if run.backend == "cuda" and train.beyond_cuda:
        return f"run.backend: 'cuda': {train.beyond_cuda}: set run.backend to cpu or auto"
    return None


def backend_for(train: TrainSettings, run: RunSettings) -> Backend:
    """Return the back end to take a device from: ``cpu`` if no other can do all of ``train``.

    Raises
    ------
    SettingsError
        ``run`` demands another back end, which cannot.
    """
    line = conflict(train, run)
    if line is not None:
        raise SettingsError(line)
    return "cpu" if train.beyond_cuda else run.backend
