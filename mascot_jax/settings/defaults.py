"""What the library and the command do where nothing is said; ``params.yaml`` says all of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from mascot_jax.settings.methods import METHODS, RECIPES, Preset, Recipe
from mascot_jax.settings.train import TrainSettings

DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {"method": "fp16", "recipe": "tuned", "order": "runs", "biases": None}
)
"""Of ``TrainSettings``, where they differ from its own."""
_ROUNDING: Final[Mapping[str, str]] = MappingProxyType({"fp16": "stochastic"})
"""Of methods for whom nothing is said; the paper's FP16 rounds to nearest: ``mascot-n1``."""


def with_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of ``TrainSettings``, by name, with those of ``DEFAULTS`` that are missing."""
    filled = {**DEFAULTS, **values}
    if filled.get("rounding") is None:
        filled["rounding"] = _ROUNDING.get(str(filled["method"]))
    return filled


def without_presets(settings: TrainSettings) -> dict[str, Any]:
    """Return values of which ``with_defaults`` makes the same plan again.

    What the method, the recipe or the device has filled in is null, so that it follows when one of
    these is changed.
    """
    method, recipe = METHODS[settings.method], RECIPES[settings.recipe]
    filled = {**method._asdict(), **recipe._asdict()}
    filled["rounding"] = _ROUNDING.get(settings.method, method.rounding)
    filled["threshold"] = method.thresholds.get(settings.criterion or "")
    filled["deterministic"] = True
    names = {*Preset._fields, *Recipe._fields, "deterministic"} & set(TrainSettings.model_fields)
    values = settings.model_dump()
    return values | {name: None for name in names if values[name] == filled[name]}
