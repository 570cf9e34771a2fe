"""Settings of pruned training: ``train.pruning``."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from mascot_jax.settings.validation import Finite, Settings, together

MOST_PROJECTED: Final = 1024
"""Most factors to project from (``ffi/core/projection.h``): time grows with their third power."""


class PruningSettings(Settings):
    """How a training computes less from some epoch on (``train.pruning``; docs/pruning.md)."""

    method: Literal["project", "early-exit"]
    """``project``: go on with fewer factors, the joint principal axes of users and items;
    ``early-exit``: a published method to compare with, which skips factors that are near zero."""
    factors: Annotated[int, Field(ge=1)] | None = None
    """Factors to go on with; for ``project`` only."""
    rate: Annotated[Finite, Field(ge=0, lt=1)] | None = None
    """Share of the components that are near zero, were they normal; for ``early-exit`` only."""
    epoch: Annotated[int, Field(ge=1)] | None = None
    """Epochs to train without pruning first; null: a quarter of all epochs."""

    @model_validator(mode="after")
    def _has_what_its_method_takes(self) -> PruningSettings:
        wanted, other = ("factors", "rate") if self.projects else ("rate", "factors")
        if getattr(self, wanted) is None:
            raise together(
                f"train.pruning.{wanted}: None: method {self.method} needs a value, such as "
                f"{'64' if self.projects else '0.3'}"
            )
        if getattr(self, other) is not None:
            raise together(
                f"train.pruning.{other}: {getattr(self, other)!r}: method {self.method} has none: "
                "leave it null"
            )
        return self

    @property
    def projects(self) -> bool:
        """Whether the method is ``project``."""
        return self.method == "project"

    def begins(self, epochs: int) -> int:
        """Return how many of so many epochs are trained without pruning first."""
        return self.epoch if self.epoch is not None else max(epochs // 4, 1)
