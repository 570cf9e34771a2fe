"""All of ``params.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from mascot_jax.settings.data import DataSettings, SplitSettings
from mascot_jax.settings.run import RunSettings, conflict
from mascot_jax.settings.train import RegroupSettings, TrainSettings
from mascot_jax.settings.validation import Finite, Settings, together


class EvaluateSettings(Settings):
    """How predictions are scored (``evaluate``)."""

    clip: bool = False
    """Clip predictions to the rating range before scoring."""
    top_n: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Also recommend so many items to each user, and look for those rated in the fold."""
    relevant: Finite | None = None
    """Look only for items with this rating or a higher one."""
    sampled: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Also rank each of these items among so many others, drawn at random."""

    @model_validator(mode="after")
    def _there_are_lists(self) -> EvaluateSettings:
        for name in ("relevant", "sampled"):
            value = getattr(self, name)
            if value is not None and self.top_n is None:
                raise together(f"evaluate.{name}: {value}: is of lists: set evaluate.top_n, too")
        return self


class Params(Settings):
    """All of ``params.yaml``."""

    folds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    """Folds to run."""
    data: DataSettings = DataSettings()
    split: SplitSettings = SplitSettings()
    regroup: RegroupSettings = RegroupSettings()
    train: TrainSettings = TrainSettings()
    run: RunSettings = RunSettings()
    evaluate: EvaluateSettings = EvaluateSettings()

    @model_validator(mode="before")
    @classmethod
    def _fill_recipe(cls, values: Any) -> Any:
        """Give a recipe that is left open: the paper's to its data sets, the best to your own."""
        train, data = (_block(values, name) for name in ("train", "data"))
        if train.get("recipe") is not None or data.get("name") != "file":
            return values  # with interactions, the settings themselves choose
        return {**values, "train": {**train, "recipe": "tuned"}}

    @model_validator(mode="after")
    def _the_back_end_can_do_it(self) -> Params:
        line = conflict(self.train, self.run, shared=True)  # whether it is, the stage knows
        if line is not None:
            raise together(line)
        return self

    @model_validator(mode="after")
    def _folds_exist(self) -> Params:
        if len(set(self.folds)) != len(self.folds):
            raise together(f"folds: {self.folds}: must not repeat")
        if max(self.folds) >= self.split.count:
            raise together(
                f"folds: {self.folds}: must be below split.count, which is {self.split.count}"
            )
        return self


def _block(values: Any, name: str) -> Mapping[str, Any]:
    block = values.get(name) if isinstance(values, Mapping) else None
    return block if isinstance(block, Mapping) else {}
