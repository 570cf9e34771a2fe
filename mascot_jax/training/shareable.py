"""What processes can share: which trainings, where they run, and that all train the same."""

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
    needs_all_ratings,
)

_REMEDIES: Final = {
    "objective": "several processes train on ratings only",
    "pruning": "leave it null",
    "order": "take runs or shuffled",
    "method": "it looks at ratings of all users after an epoch: take another method",
}


def backend_among(train: TrainSettings, run: RunSettings, workers: Workers | None) -> Backend:
    """Return the back end to take a device from; processes share a training on their CPUs.

    Raises
    ------
    SettingsError
        ``run`` demands a back end that cannot do this.
    """
    backend = backend_for(train, run)
    if workers is None:
        return backend
    if backend == "cuda":
        raise SettingsError(
            "run.backend: 'cuda': processes share a training on their CPUs only: set run.backend "
            "to cpu or auto"
        )
    return "cpu"


def execution_among(plan: TrainPlan, run: RunSettings, workers: Workers | None) -> Execution:
    """Return the kernels' execution options; workers on the same cores share them.

    Raises
    ------
    SettingsError
        As ``refuse``.
    """
    if workers is None:
        return execution_of(plan, run)
    refuse(plan)
    return execution_of(plan, run, sharers=workers.on_same_cores())


def refuse(train: TrainSettings) -> None:
    """Raise a SettingsError if several workers cannot share a training with these settings."""
    found = needs_all_ratings(train)
    if found is None:
        return
    name, value = found
    if name == "deterministic":
        raise SettingsError(
            "distributed: only a deterministic training can be shared: set train.deterministic to "
            "true"
        )
    raise SettingsError(f"distributed: cannot share train.{name} {value}: {_REMEDIES[name]}")


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
