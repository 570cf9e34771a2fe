"""Settings that change how long a training takes, not what it computes."""

from __future__ import annotations

import os
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from mascot_jax.errors import SettingsError
from mascot_jax.settings.train import TrainSettings
from mascot_jax.settings.validation import Settings

Backend = Literal["auto", "cpu", "cuda"]


def _as_text(path: Any) -> Any:
    return os.fspath(path) if isinstance(path, os.PathLike) else path


class AnyRunSettings(Settings):
    """How a training of any model runs."""

    backend: Backend = "auto"
    """Where to train; ``auto`` takes a GPU if it supports the other settings, else the CPU."""
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
    """CPU only: number of threads; null takes every core that the process may use."""
    checkpoint_every: Annotated[int, Field(ge=1, le=1_000_000)] | None = 10
    """Epochs between checkpoints, if training has a place to keep them; null never writes one. An
    interrupted training goes on from the last one. The model is the same."""


class RunSettings(AnyRunSettings):
    """How a training runs (``run``)."""

    scratch: Annotated[str, BeforeValidator(_as_text), Field(min_length=1)] | None = None
    """CPU only: folder on a fast disk for ratings that memory does not hold; epochs read them
    there. They take up to 36 bytes a rating, and 16 during epochs. The model is the same."""


_OF_ALL_RATINGS: Final = {
    "deterministic": (False,),
    "objective": ("interactions",),
    "order": ("group-blocks",),
    "method": ("muppet", "afp"),
}


def needs_all_ratings(train: TrainSettings, *, races: bool = False) -> tuple[str, object] | None:
    """Return name and value of a setting that needs all ratings in one memory; None without any.

    A training without one goes from block to block: ratings may lie on a disk, or with others.
    ``races``: within blocks, threads may race, as they do on GPUs.
    """
    for name, values in _OF_ALL_RATINGS.items():
        value = getattr(train, name)
        if value in values and not (name == "deterministic" and races):
            return name, value
    return None if train.pruning is None else ("pruning", train.pruning.method)


def conflict(train: TrainSettings, run: RunSettings, *, shared: bool = False) -> str | None:
    """Return a line on what of ``train`` cannot be run so; None if all can.

    ``shared``: by several processes or GPUs.
    """
    if run.scratch is not None:
        return _conflict_on_disk(train, run)
    beyond = train.beyond_shared_cuda if shared else train.beyond_cuda
    if run.backend == "cuda" and beyond:
        return f"run.backend: 'cuda': {beyond}: set run.backend to cpu or auto"
    return None


def _conflict_on_disk(train: TrainSettings, run: RunSettings) -> str | None:
    """Return a line on what cannot be done with ratings on disk; None if all can."""
    remedy = "set it otherwise, or run.scratch to null"
    if run.backend == "cuda":
        return f"run.backend: 'cuda': a GPU trains on ratings in memory only: {remedy}"
    found = needs_all_ratings(train)
    if found is None:
        return None
    name, value = found
    shown = value if name == "pruning" else repr(value)  # a method of it is no value of its own
    return f"train.{name}: {shown}: needs all ratings in memory: {remedy}"


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
    return "cpu" if train.beyond_cuda or run.scratch is not None else run.backend
