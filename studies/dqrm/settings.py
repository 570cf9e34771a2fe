"""Every parameter of the study, validated: ``studies/dqrm/params.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, model_validator

from mascot_jax.settings import (
    ClickDataSettings,
    EncodeSettings,
    Seed,
    Settings,
    together,
    validate,
)
from mascot_jax.settings.clicks import ClickSettings
from pipeline.common.stage import read_settings

PARAMS: Final = Path("studies/dqrm/params.yaml")
RESULTS: Final = Path("studies/dqrm/results")


class Profile(Settings):
    """A data set, and what the trainings on it have in common."""

    data: ClickDataSettings
    """As in clicks/params.yaml."""
    encode: dict[str, Any] = Field(default={})
    """As there."""
    train: dict[str, Any] = Field(default={})
    """As there."""
    seeds: Annotated[list[Seed], Field(min_length=1)] = Field(default=[0])
    """Each variant is trained with each."""


class Variant(Settings):
    """What a training has of its own."""

    encode: dict[str, Any] = Field(default={})
    train: dict[str, Any] = Field(default={})


class Study(Settings):
    """All of ``studies/dqrm/params.yaml``."""

    profile: str
    """Name of the profile that is run."""
    profiles: dict[str, Profile]
    figures: dict[str, dict[str, Variant]]
    """Variants of each figure or table, by their names."""

    @model_validator(mode="after")
    def _every_training_is_valid(self) -> Study:
        if self.profile not in self.profiles:
            raise together(f"profile: {self.profile!r}: must be one of {', '.join(self.profiles)}")
        for figure in self.figures.values():
            for variant in figure.values():
                self.encode(variant)
                self.train(variant, 0)
        return self

    @property
    def chosen(self) -> Profile:
        """The profile that is run."""
        return self.profiles[self.profile]

    def encode(self, variant: Variant) -> EncodeSettings:
        """Return how a variant's data is encoded."""
        return validate(EncodeSettings, self.chosen.encode | variant.encode, "encode")

    def train(self, variant: Variant, seed: int) -> ClickSettings:
        """Return what a variant trains."""
        own = self.chosen.train | variant.train | {"seed": seed}
        return validate(ClickSettings, own, "train")


def read_study() -> Study:
    """Read and validate the parameters."""
    return read_settings(Study, PARAMS)


def raw_path(profile: str) -> Path:
    """Return the path of a profile's rows."""
    return Path(f"studies/dqrm/data/{profile}.parquet")


def figure_path(profile: str, figure: str) -> Path:
    """Return the path of a figure's trainings."""
    return RESULTS / profile / f"{figure}.json"


def report_path(profile: str) -> Path:
    """Return the path of the report."""
    return RESULTS / profile / "report.md"
