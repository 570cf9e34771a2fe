"""Every setting of the product, validated: one frozen model per block of ``params.yaml``.

The same classes serve the pipeline, the library and the command. Validation is strict (a string is
never taken for a number) and complete before any work starts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from mascot_jax.errors import SettingsError
from mascot_jax.presets import METHODS, PAPER, RECIPES, Schedule, Switching

DATA_SETS = (
    "synthetic",
    "ml-100k",
    "ml-1m",
    "ml-10m",
    "ml-25m",
    "ml-32m",
    "netflix",
    "yahoo-music",
    "file",
)
STORAGES = ("float32", "float16", "int8-16", "int8-32", "int8-64", "int8-row")
MOST_HELD_FACTORS_ON_CUDA = 256
"""Longer rows do not fit a tile's registers, and a block's largest magnitude needs all of them."""
SHAPES = ("ml-1m", "ml-10m", "ml-25m", "netflix", "yahoo")


LARGEST_FLOAT32 = 3.4e38


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    if abs(value) > LARGEST_FLOAT32:
        raise ValueError("must fit a float32, in which training computes")
    return value


Finite = Annotated[float, AfterValidator(_finite)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Backend = Literal["auto", "cpu", "cuda"]


_TOGETHER = "together"


def together(line: str) -> PydanticCustomError:
    """Make the error of parameters that do not fit each other: its line names them itself."""
    return PydanticCustomError(_TOGETHER, "{line}", {"line": line})


class Settings(BaseModel):
    """A frozen block of settings that refuses what it does not know."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )


class Columns(Settings):
    """Names of the columns to read from a file with a header; their positions from one without."""

    user: str = "user"
    item: str = "item"
    rating: str = "rating"


class DataSettings(Settings):
    """Which ratings, and where they come from (``data``)."""

    name: Literal[DATA_SETS] = "synthetic"  # type: ignore[valid-type]
    """The data set; ``file`` reads your own."""
    source: str | None = None
    """A path or URL that overrides where the data set is read from."""
    digest: Annotated[str, Field(pattern=r"^(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})$")] | None = None
    """What the archive or file must be; null takes the published digest, where there is one."""
    columns: Columns = Columns()
    """Columns of ``file``."""
    shape: Literal[SHAPES] = "ml-1m"  # type: ignore[valid-type]
    """Synthetic only: the real data set whose size and rating step are taken."""
    users: Annotated[int, Field(ge=2, lt=2**32)] | None = None
    """Synthetic only: number of users; null takes the shape's."""
    items: Annotated[int, Field(ge=2, lt=2**32)] | None = None
    """Synthetic only: number of items; null takes the shape's."""
    ratings: Annotated[int, Field(ge=4)] | None = None
    """Synthetic only: number of ratings; null takes the shape's."""
    noise: Annotated[Finite, Field(ge=0.0, le=10.0)] = 0.8
    """Synthetic only: standard deviation of the noise added before rounding, in stars."""
    seed: Seed = 0
    """Synthetic only: the same seed gives the same ratings."""


class SplitSettings(Settings):
    """How ratings are divided into folds (``split``)."""

    count: Annotated[int, Field(ge=1, le=254)] = 5
    """Number of folds; 1 only with a data set that brings its own test file."""
    seed: Seed = 0
    """Fixes the order of the ratings and so the folds."""


class RegroupSettings(Settings):
    """How users and items are grouped by their number of ratings (``regroup``)."""

    user_groups: Annotated[int, Field(ge=1, le=65_536)] = 100
    """Wanted number of user groups (the paper's g); ties in the counts can make it fewer."""
    item_groups: Annotated[int, Field(ge=1, le=65_536)] = 100
    """Wanted number of item groups (the paper's g)."""


WordLengths = Annotated[
    tuple[Annotated[int, Field(ge=2, lt=24)], ...], Field(strict=False, min_length=1)
]
"""Bits, from the first word length on; 24 are a float32's."""


class MptSettings(Settings):
    """Constants of MPT (Micikevicius 2018)."""

    loss_scale: Annotated[Finite, Field(gt=0)] = 1000.0
    """Errors are multiplied by it before they become float16, and gradients divided."""


class MuppetSettings(Settings):
    """Constants of MuPPET (Rajagopal 2020): ``training.word_length.Muppet``."""

    word_lengths: WordLengths = (8, 12, 14, 16)
    """Tried one after the other; float32 follows. The paper starts with 12 for Yahoo! Music."""
    window: Annotated[int, Field(ge=2, le=1000)] = 3
    """Epochs whose gradients are compared."""
    alpha: Annotated[Finite, Field(ge=0)] = 1.0
    """The threshold of epoch t is alpha + beta exp(-decay t)."""
    beta: Annotated[Finite, Field(ge=0)] = 1.5
    decay: Annotated[Finite, Field(ge=0)] = 0.3


class AfpSettings(Settings):
    """Constants of AFP (Zhang 2020): ``training.word_length.Afp``."""

    word_lengths: WordLengths = (8, 16)
    """Tried one after the other."""
    threshold: Annotated[Finite, Field(gt=0)] = 5e-4
    """Of the change that quantisation makes in the mean magnitude of gradients."""
    alpha: Annotated[Finite, Field(gt=0, le=1)] = 0.04
    """Weight of the newest range in its moving average."""
    beta: Annotated[Finite, Field(gt=0)] = 0.1
    """The next measurement is beta / max(delta change^2, change of the range) - gamma epochs on."""
    delta: Annotated[Finite, Field(ge=0)] = 100.0
    gamma: Annotated[Finite, Field(ge=0)] = 2.0


class Comparators(Settings):
    """Constants of the methods that the paper compares with, as these have published them."""

    mpt: MptSettings = MptSettings()
    muppet: MuppetSettings = MuppetSettings()
    afp: AfpSettings = AfpSettings()


class TrainSettings(Settings):
    """How the factors are trained (``train``); the paper's letter in brackets."""

    method: Literal[tuple(METHODS)] = "mascot"  # type: ignore[valid-type]
    """A named preset of the settings below that may be null; ``half``, ``mpt``, ``muppet`` and
    ``afp`` are others' methods, to compare with."""
    recipe: Literal["paper", "tuned"] = "paper"
    """A named preset of epochs, learning rate, schedule, decay and regularisation.

    It fills, at validation, those of them that are missing or null.
    """
    factors: Annotated[int, Field(ge=1, le=65_536)] = 128
    """Components of a factor row (k)."""
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = PAPER.epochs
    """Passes over the training ratings (T)."""
    learning_rate: Annotated[Finite, Field(gt=0)] = PAPER.learning_rate
    """Step size of epoch 0 (eta)."""
    schedule: Schedule = PAPER.schedule
    """The step size of epoch t.

    ``power``: learning_rate / (1 + decay t^1.5); ``linear``: learning_rate (1 - t / epochs).
    """
    decay: Annotated[Finite, Field(ge=0)] | None = None
    """Of the schedule ``power``; null with ``linear``, which has none."""
    user_reg: Annotated[Finite, Field(ge=0)] = PAPER.user_reg
    """Regularisation of user factors (lambda_P)."""
    item_reg: Annotated[Finite, Field(ge=0)] = PAPER.item_reg
    """Regularisation of item factors (lambda_Q)."""
    biases: bool = False
    """Fit a mean and user and item biases first; the factors learn what these leave."""
    validation: Annotated[Finite, Field(ge=0, lt=1)] = 0.0
    """Share of the training ratings that is not trained on but scored after each epoch."""
    patience: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Stop after so many epochs without a better validation RMSE; the best epoch's model is kept.

    Null never stops early.
    """
    checkpoint_every: Annotated[int, Field(ge=1, le=1_000_000)] | None = 10
    """Epochs from one checkpoint to the next, where training is told where to keep them; null never
    writes one. A training that is cut short goes on from the last. The model is the same."""
    storage: Literal[STORAGES] | None = None  # type: ignore[valid-type]
    """Precision that rows are stored in at the start; int8 with a scale for each row, or for every
    16, 32 or 64 of its components."""
    rounding: Literal["nearest", "stochastic"] | None = None
    """How an update is rounded where it is stored in fewer than 32 bits.

    ``stochastic`` keeps its expectation: up or down in proportion to the distances.
    """
    criterion: Literal["gradient-diversity", "lost-update"] | None = None
    """What decides whether a group is promoted: the paper's q-error (Eq. 4), or the share of the
    updates' squared norm that storing them loses."""
    threshold: Annotated[Finite, Field(gt=0)] | None = None
    """A group is promoted when its q-error exceeds this multiple of its first one (theta), or the
    lost share exceeds this."""
    period: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Epochs between measurements of the criterion (pi)."""
    sample_ratio: Annotated[Finite, Field(gt=0, le=1)] | None = None
    """Share of the ratings that a measurement samples (gamma)."""
    warmup: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """The first epoch, counted from 0, that is measured."""
    order: Literal["shuffled", "runs", "group-blocks"] = "shuffled"
    """In which an epoch visits the ratings: at random, in runs of up to 8 of one user, or in blocks
    of one user group and one item group (CPU only)."""
    deterministic: bool | None = None
    """CPU only: the same bits on every run and for every number of threads; null: true on a CPU,
    false on a GPU."""
    backend: Backend = "auto"
    """Where to train; ``auto`` takes a GPU where it can do what is asked, else the CPU."""
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
    """CPU only: threads; null takes every core the process may use."""
    comparators: Comparators = Comparators()
    """Constants of ``mpt``, ``muppet`` and ``afp``; others have no use for them."""
    writes: Literal["add", "store"] = "add"
    """CUDA only: ``add`` loses no update of a row that others write too; ``store`` may."""
    seed: Seed = 0
    """Fixes initial factors, order of visiting and samples."""

    @model_validator(mode="before")
    @classmethod
    def _fill_from_recipe(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        name = values.get("recipe")
        # Of an unknown recipe only its own line should complain.
        recipe = RECIPES.get(name, PAPER) if isinstance(name, str) else PAPER
        preset = recipe._asdict()
        if (values.get("schedule") or recipe.schedule) == "linear":
            del preset["decay"]
        filled = {key: value for key, value in preset.items() if values.get(key) is None}
        return {**values, **filled}

    @model_validator(mode="after")
    def _decay_has_an_effect(self) -> TrainSettings:
        if self.schedule == "linear" and self.decay is not None:
            raise together(
                f"train.decay: {self.decay!r}: has no effect where train.schedule is linear: leave "
                "it null, or set train.schedule to power"
            )
        return self

    @model_validator(mode="after")
    def _patience_has_something_to_judge_by(self) -> TrainSettings:
        if self.patience is not None and not self.validation:
            raise together(
                f"train.patience: {self.patience!r}: needs ratings to judge by, and "
                "train.validation is 0: set train.validation to a share such as 0.1, or leave "
                "train.patience null"
            )
        return self

    @model_validator(mode="after")
    def _comparators_are_as_published(self) -> TrainSettings:
        """Refuse what another method's storage and rounding would no longer be."""
        method = METHODS[self.method]
        if not method.compares:
            return self
        for name in ("storage", "rounding"):
            value, own = getattr(self, name), getattr(method, name)
            if value not in (None, own):
                raise together(
                    f"train.{name}: {value!r}: train.method {self.method} has {own}: leave it "
                    "null, or choose another method"
                )
        return self

    @property
    def device(self) -> Backend:
        """The back end to choose from: ``backend``, less what cannot do what is asked."""
        return "cpu" if self._beyond_cuda() else self.backend

    @model_validator(mode="after")
    def _cuda_can_do_it(self) -> TrainSettings:
        reason = self._beyond_cuda()
        if self.backend == "cuda" and reason:
            raise ValueError(f"{reason}; set backend to cpu or auto")
        return self

    def _beyond_cuda(self) -> str | None:
        """Return why a GPU cannot train with these settings, if that is so."""
        if self.deterministic:
            return "deterministic: cuda runs Hogwild only"
        if self.order == "group-blocks":
            return "order: cuda has shuffled and runs"
        method = METHODS[self.method]
        if self.factors <= MOST_HELD_FACTORS_ON_CUDA:
            return None
        if (self.storage or method.storage).startswith("int8"):
            return f"factors: cuda trains int8 rows of up to {MOST_HELD_FACTORS_ON_CUDA} only"
        if method.compares:
            return f"factors: cuda has {self.method} for up to {MOST_HELD_FACTORS_ON_CUDA} only"
        return None

    @property
    def switching(self) -> Switching:
        """What is promoted at a time: nothing, a side as a whole, or a group."""
        return METHODS[self.method].switching

    def on(self, platform: str) -> TrainSettings:
        """Return a copy in which the kind of device, in JAX's words, decides what was left to it.

        That is ``deterministic``, where it was null.
        """
        chosen = platform == "cpu" if self.deterministic is None else self.deterministic
        return self.model_copy(update={"deterministic": chosen})

    def resolved(self) -> TrainSettings:
        """Return a copy in which the method has filled what was null."""
        method = METHODS[self.method]
        threshold = method.thresholds.get(self.criterion or method.criterion or "")
        preset = method._asdict() | {"threshold": threshold}
        filled = {name: preset[name] for name, value in self if value is None and name in preset}
        return self.model_copy(update=filled)


class EvaluateSettings(Settings):
    """How predictions are scored (``evaluate``)."""

    clip: bool = False
    """Clip predictions to the rating range before scoring."""


class Params(Settings):
    """All of ``params.yaml``."""

    folds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    """Which folds to run."""
    data: DataSettings = DataSettings()
    split: SplitSettings = SplitSettings()
    regroup: RegroupSettings = RegroupSettings()
    train: TrainSettings = TrainSettings()
    evaluate: EvaluateSettings = EvaluateSettings()

    @model_validator(mode="after")
    def _folds_exist(self) -> Params:
        if len(set(self.folds)) != len(self.folds):
            raise together(f"folds: {self.folds}: must not repeat")
        if max(self.folds) >= self.split.count:
            raise together(
                f"folds: {self.folds}: must be below split.count, which is {self.split.count}"
            )
        return self


SettingsT = TypeVar("SettingsT", bound=Settings)


def validate(cls: type[SettingsT], values: Mapping[str, Any], prefix: str = "") -> SettingsT:
    """Build settings from plain values, or raise an error a person can act on.

    Parameters
    ----------
    cls
        The settings class.
    values
        Field name -> value, nested mappings for blocks.
    prefix
        Path put before each parameter's name in messages.

    Raises
    ------
    SettingsError
        One line per bad parameter: its path, the value found, the rule.
    """
    try:
        return cls.model_validate(values)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(e, prefix, cls) for e in error.errors())) from None


def _explain(error: ErrorDetails, prefix: str, cls: type[Settings]) -> str:
    if error["type"] == _TOGETHER:
        return error["msg"]
    path = ".".join(str(part) for part in (prefix, *error["loc"]) if part != "")
    if error["type"] == "extra_forbidden":
        there = ", ".join(_fields_of_block(cls, error["loc"][:-1]))
        return f"{path}: {error['input']!r}: unknown parameter; there are {there}"
    if error["type"] == "missing":
        return f"{path}: missing"
    if error["type"] == "model_type":
        return f"{path}: {error['input']!r}: must be a block of parameters"
    rule = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{path}: {error['input']!r}: {rule[0].lower()}{rule[1:]}"


def _fields_of_block(cls: type[Settings], path: tuple[int | str, ...]) -> list[str]:
    """Return the names of the parameters in a block, found from the outermost one."""
    block: Any = cls
    for name in path:
        inner = get_args(block)
        # A field's block, or one of a list of blocks, or of blocks by name.
        block = inner[-1] if inner else block.model_fields[str(name)].annotation
        if NoneType in get_args(block):  # a block that may be null
            block = get_args(block)[0]
    return list(block.model_fields)
