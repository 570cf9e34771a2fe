"""Defaults of the library and the command; ``params.yaml`` states all its values itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

from mascot_jax.settings.interactions import INTERACTION_DEFAULTS
from mascot_jax.settings.methods import METHODS, Preset, Recipe, preset_of
from mascot_jax.settings.train import TrainSettings

DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {"method": "fp16", "recipe": "tuned", "order": "runs"}
)
"""Defaults for ``TrainSettings`` that differ from its own."""
_ROUNDING: Final[Mapping[str, str]] = MappingProxyType({"fp16": "stochastic"})
"""Default rounding by method. The paper's FP16, ``mascot-n1``, rounds to nearest."""


def with_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of ``TrainSettings``, by name; take missing ones from ``DEFAULTS``."""
    filled = {**DEFAULTS, **values}
    if filled.get("rounding") is None:
        filled["rounding"] = _ROUNDING.get(str(filled["method"]))
    return filled


def without_presets(settings: TrainSettings, decided: Collection[str] = ()) -> dict[str, Any]:
    """Return values from which ``with_defaults`` makes the same plan again.

    Values that the method, recipe or device filled in become null, so that they follow when one of
    the three changes; and so do those that the ratings decided, whose names ``decided`` has.
    """
    method, recipe = METHODS[settings.method], preset_of(settings.recipe, settings.objective)
    filled = {**method._asdict(), **recipe._asdict(), **INTERACTION_DEFAULTS}
    filled["rounding"] = _ROUNDING.get(settings.method, method.rounding)
    filled["threshold"] = method.thresholds.get(settings.criterion or "")
    # With rotations, nobody can have set false: GPUs have shared the training.
    filled["deterministic"] = settings.rotations is None or settings.deterministic
    names = {*Preset._fields, *Recipe._fields, *INTERACTION_DEFAULTS, "deterministic"}
    names &= set(TrainSettings.model_fields)
    values = settings.model_dump()
    if settings.pruning is not None:
        usual = settings.pruning.model_copy(update={"epoch": None}).begins(settings.epochs)
        if settings.pruning.epoch == usual:
            values["pruning"]["epoch"] = None
    same = {name for name in names if values[name] == filled[name]}
    return values | dict.fromkeys(same | set(decided))
