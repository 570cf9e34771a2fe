"""The presets that names of recipes and methods stand for."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

Schedule = Literal["power", "linear"]


class Recipe(NamedTuple):
    """Settings that the name of a recipe stands for; a setting that is not null wins."""

    epochs: int
    learning_rate: float | None
    """None, here and below: decided by the ratings (``settings.strength``)."""
    schedule: Schedule
    decay: float
    """Only for the schedule ``power``."""
    user_reg: float | None
    item_reg: float | None


PAPER = Recipe(50, 0.01, "power", 0.1, 0.01, 0.015)
RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "paper": PAPER,
        # Chosen on MovieLens 100K and 1M, whole and thinned (docs/recipes.md).
        "tuned": Recipe(32, None, "linear", 0.045, None, None),
    }
)

INTERACTIONS = Recipe(16, None, "linear", 0.045, None, None)
"""For interactions, of which only ``tuned`` knows; chosen on MovieLens 100K and 1M
(docs/interactions.md)."""


def preset_of(recipe: str, objective: str) -> Recipe:
    """Return what a recipe stands for when training from ratings, or from interactions."""
    return RECIPES.get(recipe, PAPER) if objective == "ratings" else INTERACTIONS


class Unit(enum.Enum):
    """Unit of precision switching."""

    NONE = "none"
    SIDE = "side"
    GROUP = "group"


class Preset(NamedTuple):
    """Settings that the name of a method stands for; without switching, nothing is measured."""

    storage: str
    unit: Unit = Unit.NONE
    rounding: str = "nearest"
    criterion: str | None = None
    thresholds: Mapping[str, float] = MappingProxyType({})
    """Criterion -> threshold."""
    period: int | None = None
    sample_ratio: float | None = None
    warmup: int | None = None
    arithmetic: str = "float32"
    """Arithmetic of the updates, as in ``engine.kernels.run_epoch``."""

    @property
    def compares(self) -> bool:
        """Whether the method is there for comparison: its storage and rounding are then fixed."""
        return self.arithmetic != "float32"


ONCE = 1_000_000
"""Period without a second measurement."""

# m-quantization and g-switching.
_MASCOT = Preset(
    "float16",
    Unit.GROUP,
    criterion="gradient-diversity",
    thresholds=MappingProxyType({"gradient-diversity": 20.0, "lost-update": 0.3}),
    period=2,
    sample_ratio=0.05,
    warmup=5,
)

METHODS: Mapping[str, Preset] = MappingProxyType(
    {
        # Full precision: the paper's FP32.
        "fp32": Preset("float32"),
        # m-quantization alone: the paper's MASCOT-N1.
        "fp16": Preset("float16"),
        "mascot-n1": Preset("float16"),
        # One q-error per side: the paper's MASCOT-N2, with the authors' threshold for ML10M.
        "mascot-n2": _MASCOT._replace(
            unit=Unit.SIDE,
            thresholds=MappingProxyType({"gradient-diversity": 10.0, "lost-update": 0.45}),
        ),
        "mascot": _MASCOT,
        # A quarter of the bytes of float32, plus a scale for every 32 components.
        "int8": Preset("int8-32", rounding="stochastic"),
        # After the first epoch only, groups whose int8 stores add too much noise, the most-rated
        # ones, go to float16. The others stay in int8 (docs/precision.md).
        "mascot-int8": _MASCOT._replace(
            storage="int8-32",
            rounding="stochastic",
            criterion="lost-update",
            thresholds=MappingProxyType({"gradient-diversity": 20.0, "lost-update": 0.068}),
            period=ONCE,
            warmup=0,
        ),
        # Half precision throughout: the paper's baseline FP16.
        "half": Preset("float16", arithmetic="float16"),
        # The paper's comparators quantise the computation only (docs/comparators.md).
        "mpt": Preset("float32", arithmetic="mixed"),
        "muppet": Preset("float32", arithmetic="fixed"),
        "afp": Preset("float32", arithmetic="fixed"),
    }
)
