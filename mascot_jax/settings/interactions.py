"""Settings of training from interactions: who met what, rather than how they liked it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from mascot_jax.settings.validation import Finite, Settings, together

INTERACTION_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "confidence": "values",
        "loss": "squared",
        "negatives": 8.0,
        "negative_weight": 1.0,
        "negative_power": 0.0,
    }
)
"""Of the settings below, where they are null and the objective is interactions."""


class InteractionSettings(Settings):
    """What factors learn, and from which negatives; null with the objective ``ratings``."""

    objective: Literal["ratings", "interactions"] = "ratings"
    """What factors learn: values of ratings; or, from clicks, plays or purchases, which items a
    user has an interaction with, so that lists of recommendations are good."""
    confidence: Literal["values", "log1p", "equal"] | None = None
    """With interactions: the weight of each is its value, log(1 + value) or 1, in units of their
    mean, at most 10. Null: values."""
    loss: Literal["squared", "logistic"] | None = None
    """With interactions: the loss between a score and 1, or 0 of a negative. Null: squared."""
    negatives: Annotated[Finite, Field(ge=0, le=10_000)] | None = None
    """With interactions: items without one that an epoch draws for each, anew. Null: 8."""
    negative_weight: Annotated[Finite, Field(gt=0)] | None = None
    """With interactions: weight of a negative; an interaction has 1 on average. Null: 1."""
    negative_power: Annotated[Finite, Field(ge=0, le=1)] | None = None
    """With interactions: negatives are drawn by this power of an item's number of interactions: 0
    draws all alike, 1 by popularity. Null: 0."""

    @model_validator(mode="after")
    def _ratings_have_no_negatives(self) -> InteractionSettings:
        if self.of_interactions:
            return self
        for name in INTERACTION_DEFAULTS:
            value = getattr(self, name)
            if value is not None:
                raise together(
                    f"train.{name}: {value!r}: has no effect where train.objective is ratings: "
                    "leave it null, or set train.objective to interactions"
                )
        return self

    @property
    def of_interactions(self) -> bool:
        """Whether factors learn from interactions."""
        return self.objective == "interactions"


def without_interactions(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of ratings as files had them before there were interactions."""
    if settings["objective"] == "interactions":
        return dict(settings)
    return {k: v for k, v in settings.items() if k not in ("objective", *INTERACTION_DEFAULTS)}
