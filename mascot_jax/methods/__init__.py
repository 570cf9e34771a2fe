"""What a method adds to an epoch: a state, its kernel's operands, and an update after it.

Each is three functions, as optimisers are in optax; a training has any number of them, in order.
"""

from __future__ import annotations

from mascot_jax.engine.early_exit import NAME as EARLY_EXIT
from mascot_jax.methods.early_exit import EarlyExit
from mascot_jax.methods.loss_scale import LossScale
from mascot_jax.methods.method import Method
from mascot_jax.methods.switching import Switching
from mascot_jax.methods.word_length import Afp, Muppet
from mascot_jax.settings import TrainPlan
from mascot_jax.settings.methods import Unit


def methods_of(plan: TrainPlan) -> dict[str, Method]:
    """Return what a training has of them, by name, in the order of their updates."""
    methods: dict[str, Method] = {}
    if plan.unit is not Unit.NONE:
        methods["switching"] = Switching.of(plan)
    if plan.exits_early:
        methods[EARLY_EXIT] = EarlyExit()
    constants = plan.comparators
    if plan.method == "mpt":
        methods["mpt"] = LossScale(constants.mpt.loss_scale)
    elif plan.method == "muppet":
        methods["muppet"] = Muppet(constants.muppet)
    elif plan.method == "afp":
        methods["afp"] = Afp(constants.afp)
    return methods
