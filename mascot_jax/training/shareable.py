"""What processes and GPUs can share: which trainings, and that all train the same."""

from __future__ import annotations

import json
from typing import Any, Final

from mascot_jax.distributed.workers import Workers
from mascot_jax.engine.devices import execution_of
from mascot_jax.engine.kernels import Execution
from mascot_jax.errors import ProcessError, SettingsError
from mascot_jax.settings import (
    Backend,
    RunSettings,
    TrainPlan,
    TrainSettings,
    backend_for,
    conflict,
    needs_all_ratings,
)

LEAST_ROTATIONS: Final = 2
"""Of a training that GPUs share; one cost up to 0.004 of RMSE."""
_REMEDIES: Final = {
    "objective": "several processes or GPUs train on ratings only",
    "pruning": "leave it null",
    "order": "take runs or shuffled",
    "method": "it looks at ratings of all users after an epoch: take another method",
}


def backend_among(train: TrainSettings, run: RunSettings, workers: Workers | None) -> Backend:
    """Return the back end to take a device from: that which prepares a shared training, the CPU.

    Raises
    ------
    SettingsError
        ``run`` demands a back end that cannot do this, or workers cannot share it.
    """
    if workers is None:
        return backend_for(train, run)
    refuse(train, run)
    return "cpu"


def execution_among(plan: TrainPlan, run: RunSettings, workers: Workers | None) -> Execution:
    """Return the kernels' execution options; processes on the same cores share them."""
    if workers is None:
        return execution_of(plan, run)
    return execution_of(plan, run, sharers=workers.on_same_cores())


def refuse(train: TrainSettings, run: RunSettings) -> None:
    """Raise a SettingsError if processes or GPUs cannot share a training with these settings."""
    line = conflict(train, run, shared=True)
    if line is not None:
        raise SettingsError(line)
    refuse_among(train, races=run.backend == "cuda")


def refuse_among(train: TrainSettings, *, races: bool) -> None:
    """Raise a SettingsError if workers cannot share a training with these settings.

    ``races``: whether they are GPUs, whose threads race.
    """
    refused = needs_all_ratings(train, races=races)
    if refused is not None:
        name, value = refused
        if name == "deterministic":
            raise SettingsError(
                "distributed: only a deterministic training can be shared: set train.deterministic "
                "to true"
            )
        raise SettingsError(f"distributed: cannot share train.{name} {value}: {_REMEDIES[name]}")
    if races and (train.rotations or 0) < LEAST_ROTATIONS:
        found = "not set" if train.rotations is None else train.rotations
        too = ", and leave train.deterministic null" if train.deterministic is False else ""
        raise SettingsError(
            f"train.rotations: {found}: GPUs that share a training race through its blocks, which "
            f"needs at least {LEAST_ROTATIONS} rotations to be as accurate: set train.rotations to "
            f"{LEAST_ROTATIONS}{too}"
        )


def check_alike(workers: Workers, identity: dict[str, Any]) -> None:
    """Raise a ProcessError if processes would train something else than the first one.

    Parameters
    ----------
    workers
        Who shares the training; every process calls this.
    identity
        What must be the same, by name, as values that JSON can hold.
    """
    if not workers.other_than_first(json.dumps(identity, sort_keys=True)):
        return
    for name, value in identity.items():
        others = workers.other_than_first(json.dumps(value, sort_keys=True))
        if others:
            numbers = ", ".join(map(str, others))
            raise ProcessError(
                f"the processes of a shared training must be alike: {name} of process {numbers} "
                "differ from those of process 0"
            )
