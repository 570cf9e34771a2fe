"""Every parameter of the study, validated: ``studies/paper/params.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, model_validator

from mascot_jax.errors import SettingsError
from mascot_jax.settings import (
    Backend,
    Comparators,
    DataSettings,
    Finite,
    PruningSettings,
    RunSettings,
    Seed,
    Settings,
    SplitSettings,
    TrainSettings,
    together,
    validate,
)
from pipeline.common.stage import read_settings

PARAMS: Final = Path("studies/paper/params.yaml")

CHOSEN: Final = (2, 0.05)
"""Period and sample ratio that the paper chose, and tests (Table II) against the others."""
NAIVE: Final = (1, 1.0)


def _distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) != len(values):
        raise ValueError("must not repeat")
    return values


def _containing(*needed: float) -> AfterValidator:
    """Make a rule: a grid that a figure cannot do without these."""

    def check(values: list[Any]) -> list[Any]:
        if not set(needed) <= set(values):
            raise ValueError(f"must contain {' and '.join(map(str, needed))}")
        return values

    return AfterValidator(check)


_Values = Field(min_length=1)
_Distinct = AfterValidator(_distinct)
Share = Annotated[Finite, Field(ge=0, le=1)]


class DataSet(Settings):
    """One data set, and how it is divided."""

    data: DataSettings
    """As in the pipeline's params.yaml."""
    split: SplitSettings = SplitSettings()
    """As there; repetition r tests fold r modulo ``count``."""
    comparators: Comparators | None = None
    """For this data set; null: the profile's."""

    @property
    def name(self) -> str:
        """What results call it."""
        synthetic = self.data.name == "synthetic"
        return f"synthetic {self.data.shape}" if synthetic else str(self.data.name)


class Training(Settings):
    """What the trainings of all figures have in common; the paper's values in brackets."""

    factors: Annotated[int, Field(ge=1, le=65_536)] = 128
    """k of every figure but those that compare several [128]."""
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 50
    """Of each training [50]."""
    warmup: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """The first epoch that is measured; null: the method's."""
    backend: Backend = "auto"
    """Where to train."""
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
    """CPU only: null takes every core the process may use."""
    comparators: Comparators = Comparators()
    """Constants of ``mpt``, ``muppet`` and ``afp``."""
    seed: Seed = 0
    """Repetition r has seed + r."""

    @property
    def run(self) -> RunSettings:
        """How they run."""
        return RunSettings(backend=self.backend, threads=self.threads)


class Grids(Settings):
    """What figures vary."""

    factors: Annotated[list[Annotated[int, Field(ge=1, le=65_536)]], _Values, _Distinct]
    """k of Fig. 1 and 7 [64, 128]."""
    half_shares: Annotated[list[Share], _Values, _Distinct, _containing(0.0)]
    """Shares of the rows in float16, of Fig. 4 [0, 0.2, 0.4, 0.6, and 1 as its bound]."""
    groups: Annotated[list[Annotated[int, Field(ge=1, le=65_536)]], _Values, _Distinct]
    """Of a side, wanted, of Fig. 10 and 11 [1 to 500]."""
    periods: Annotated[
        list[Annotated[int, Field(ge=1, le=1_000_000)]],
        _Values,
        _Distinct,
        _containing(CHOSEN[0], NAIVE[0]),
    ]
    """Pi of Table II [1, 2, 4, 8]."""
    sample_ratios: Annotated[
        list[Annotated[Finite, Field(gt=0, le=1)]],
        _Values,
        _Distinct,
        _containing(CHOSEN[1], NAIVE[1]),
    ]
    """Gamma of Table II [0.01, 0.05, 0.1, 0.2, 0.5, 1]."""
    pruning: Annotated[list[PruningSettings], _Values, _Distinct]
    """Ways to prune a training, as train.pruning of the pipeline's params.yaml."""


class Profile(Settings):
    """A study of one size."""

    sets: Annotated[list[DataSet], _Values]
    """The data sets, of different names."""
    repetitions: Annotated[int, Field(ge=1, le=1000)]
    """Trainings of each variant [5]."""
    train: Training = Training()
    grids: Grids


class Source(Settings):
    """Where a profile's data come from."""

    source: str | None = None
    """A path or URL to read instead of the official archive."""


class Study(Settings):
    """All of ``studies/paper/params.yaml``."""

    profile: str
    """Which of the profiles to run."""
    data: Source = Source()
    """Of a profile that reads one data set."""
    profiles: dict[str, Profile]

    @model_validator(mode="after")
    def _profile_exists(self) -> Study:
        if self.profile not in self.profiles:
            names = ", ".join(self.profiles)
            raise together(f"profile: {self.profile!r}: there is none of that name, only {names}")
        return self

    @model_validator(mode="after")
    def _sets_have_names_of_their_own(self) -> Study:
        for name, profile in self.profiles.items():
            names = [data.name for data in profile.sets]
            if len(set(names)) != len(names):
                raise together(
                    f"profiles.{name}.sets: {', '.join(names)}: must be different data sets"
                )
        return self

    @model_validator(mode="after")
    def _trainings_can_be_pruned(self) -> Study:
        for name, profile in self.profiles.items():
            values = {"factors": profile.train.factors, "epochs": profile.train.epochs}
            for i, pruning in enumerate(profile.grids.pruning):
                where = f"profiles.{name}.grids.pruning.{i}"
                if pruning.epoch is None:
                    raise together(f"{where}.epoch: None: must be a number here")
                try:
                    validate(TrainSettings, values | {"pruning": pruning.model_dump()})
                except SettingsError as error:
                    raise together(f"{where}: {error}") from error
        return self

    @model_validator(mode="after")
    def _source_is_of_one(self) -> Study:
        if self.data.source is None:
            return self
        sets = self.profiles[self.profile].sets
        if len(sets) != 1 or sets[0].data.name == "synthetic":
            raise together(
                f"data.source: {self.data.source!r}: is of a profile that reads one data set, and "
                f"{self.profile} does not: leave it null"
            )
        return self

    @property
    def chosen(self) -> Profile:
        """The profile to run."""
        profile = self.profiles[self.profile]
        if self.data.source is None:
            return profile
        (only,) = profile.sets
        data = only.data.model_copy(update={"source": self.data.source})
        return profile.model_copy(update={"sets": [only.model_copy(update={"data": data})]})


def read_study(path: Path = PARAMS) -> Study:
    """Read and validate all profiles, whichever one is to run.

    Raises
    ------
    SettingsError
        One line per bad parameter.
    """
    return read_settings(Study, path)
