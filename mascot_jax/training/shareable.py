"""What processes can share: which trainings, where they run, and that all train the same."""

from __future__ import annotations

import json
from typing import Any

from mascot_jax.distributed.workers import Workers
from mascot_jax.errors import ProcessError, SettingsError
from mascot_jax.settings import Backend, TrainPlan


def refuse(plan: TrainPlan) -> None:
    """Raise a SettingsError if several workers cannot share a training by this plan."""
    if not plan.deterministic:
        raise SettingsError(
            "distributed: only a deterministic training can be shared: set train.deterministic to "
            "true"
        )
    if plan.objective != "ratings":
        raise SettingsError(
            f"distributed: cannot share train.objective {plan.objective}: several processes train "
            "on ratings only"
        )
    if plan.pruning is not None:
        raise SettingsError(
            f"distributed: cannot share train.pruning {plan.pruning.method}: leave it null"
        )
    if plan.order == "group-blocks":
        raise SettingsError(
            "distributed: cannot share train.order group-blocks: take runs or shuffled"
        )
    if plan.method in ("muppet", "afp"):
        raise SettingsError(
            f"distributed: cannot share train.method {plan.method}, which looks at ratings of all "
            "users after an epoch: take another method"
        )


def shared_backend(backend: Backend) -> Backend:
    """Return where processes share a training: on their CPUs.

    Raises
    ------
    SettingsError
        If it is to run on a GPU.
    """
    if backend == "cuda":
        raise SettingsError(
            "run.backend: 'cuda': processes share a training on their CPUs only: set run.backend "
            "to cpu or auto"
        )
    return "cpu"


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
