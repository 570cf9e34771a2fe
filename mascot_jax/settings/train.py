"""Settings of the grouping of rows and of the training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, model_validator

from mascot_jax.settings.comparators import Comparators
from mascot_jax.settings.interactions import INTERACTION_DEFAULTS, InteractionSettings
from mascot_jax.settings.methods import METHODS, PAPER, Schedule, Unit, preset_of
from mascot_jax.settings.pruning import MOST_PROJECTED, PruningSettings
from mascot_jax.settings.strength import (
    LEAST_UNCERTAINTY,
    Strength,
    strength,
    strength_of_interactions,
)
from mascot_jax.settings.validation import Finite, Seed, Settings, together
from mascot_jax.tables.storage import STORAGES, WHOLE_ROW, Storage, promotions

FEW_RATINGS: Final = 20
"""Ratings / (users + items), below which the recipe ``paper`` fits biases if that is left open."""
MOST_ROTATIONS: Final = 8
"""With more, ranges would move as often as without any."""
MOST_HELD_FACTORS_ON_CUDA: Final = 256
"""Factors that a tile's registers can hold; a block's largest magnitude needs all of them."""


class RegroupSettings(Settings):
    """How users and items are grouped by their number of ratings (``regroup``)."""

    user_groups: Annotated[int, Field(ge=1, le=65_536)] = 100
    """Wanted number of user groups (the paper's g); equal counts can make them fewer."""
    item_groups: Annotated[int, Field(ge=1, le=65_536)] = 100
    """Wanted number of item groups, likewise."""


class TrainSettings(InteractionSettings):
    """How the factors are trained (``train``); the paper's letters in brackets."""

    method: Literal[tuple(METHODS)] = "mascot"  # type: ignore[valid-type]
    """Named preset for settings below that are null; ``half``, ``mpt``, ``muppet`` and ``afp`` are
    published methods to compare with."""
    recipe: Literal["paper", "tuned"] = "paper"
    """Named preset of epochs, learning rate, schedule, decay and regularisation.

    At validation, it fills those of them that are missing or null. Null: ``tuned`` for the data set
    ``file`` and with interactions, else ``paper``.
    """
    factors: Annotated[int, Field(ge=1, le=65_536)] = 128
    """Components of a factor row (k)."""
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = PAPER.epochs
    """Passes over the training ratings (T)."""
    learning_rate: Annotated[Finite, Field(gt=0)] | None = PAPER.learning_rate
    """Step size of epoch 0 (eta); null, here and below: decided by the ratings."""
    schedule: Schedule = PAPER.schedule
    """Step size of epoch t.

    ``power``: learning_rate / (1 + decay t^1.5); ``linear``: learning_rate (1 - t / epochs).
    """
    decay: Annotated[Finite, Field(ge=0)] | None = None
    """Decay of the schedule ``power``; null with ``linear``, which has none."""
    user_reg: Annotated[Finite, Field(ge=0)] | None = PAPER.user_reg
    """Regularisation of user factors (lambda_P)."""
    item_reg: Annotated[Finite, Field(ge=0)] | None = PAPER.item_reg
    """Regularisation of item factors (lambda_Q)."""
    biases: bool | None = None
    """Fit a mean and user and item biases first; the factors learn what these leave. Null: yes with
    the recipe ``tuned``; with ``paper`` below 20 ratings for each user and item; never with the
    pruning ``early-exit``."""
    validation: Annotated[Finite, Field(ge=0, lt=1)] = 0.0
    """Share of the training ratings that is held out and scored after each epoch."""
    patience: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Stop after this many epochs without a better validation RMSE, with interactions NDCG; keep
    the best epoch's model.

    Null never stops early. A linear schedule spreads over all epochs: more of them keep its steps
    large for longer, and a training that stops early misses the small steps.
    """
    storage: Literal[tuple(STORAGES)] | None = None  # type: ignore[valid-type]
    """Precision of stored rows at the start; int8 has a scale for each row, or for every 16, 32 or
    64 components."""
    rounding: Literal["nearest", "stochastic"] | None = None
    """How an updated row is rounded when it is stored in fewer than 32 bits.

    ``stochastic`` rounds up or down in proportion to the distances, which keeps the expectation.
    """
    criterion: Literal["gradient-diversity", "lost-update"] | None = None
    """Measure that decides whether a group is promoted: the paper's q-error (Eq. 4), or the share
    of the updates' squared norm that is lost in storing them."""
    threshold: Annotated[Finite, Field(gt=0)] | None = None
    """A group is promoted when its q-error exceeds this multiple of its first one (theta), or when
    its lost share exceeds this value."""
    period: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Epochs between measurements of the criterion (pi)."""
    sample_ratio: Annotated[Finite, Field(gt=0, le=1)] | None = None
    """Share of the ratings that a measurement samples (gamma)."""
    warmup: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """First epoch that is measured, counted from 0."""
    order: Literal["shuffled", "runs", "group-blocks"] = "shuffled"
    """Order in which an epoch visits the ratings: at random, in runs of up to 8 of one user, or in
    blocks of one user group and one item group (CPU only)."""
    deterministic: bool | None = None
    """CPU only: give the same bits on every run and for every number of threads. Null: true on a
    CPU, false on a GPU."""
    rotations: Annotated[int, Field(ge=1, le=MOST_ROTATIONS)] | None = None
    """For trainings that processes or GPUs share: ranges of rows go round them so many times in an
    epoch, a deterministic training's or GPUs'; 2 send a tenth of what null does and are as
    accurate. Null: an order without regard to what is sent, on CPUs only."""
    _MAY_RACE: ClassVar[bool] = False
    """Whether threads may race through blocks in rotations."""
    pruning: PruningSettings | None = None
    """Compute less from some epoch on; null: never."""
    comparators: Comparators = Comparators()
    """Constants of ``mpt``, ``muppet`` and ``afp``; other methods ignore them."""
    writes: Literal["add", "store"] = "add"
    """CUDA only: ``add`` loses no update of a row that several threads write; ``store`` may."""
    seed: Seed = 0
    """Fixes the initial factors, the order of visits and the samples."""

    @model_validator(mode="before")
    @classmethod
    def _fill_from_recipe(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        objective = values.get("objective") or "ratings"
        name = values.get("recipe") or ("paper" if objective == "ratings" else "tuned")
        # An unknown recipe should cause one error only, its own.
        recipe = preset_of(name if isinstance(name, str) else "paper", objective)
        preset = recipe._asdict()
        if (values.get("schedule") or recipe.schedule) == "linear":
            del preset["decay"]
        filled = {key: value for key, value in preset.items() if values.get(key) is None}
        return {**values, **filled, "recipe": name}

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
    def _interactions_have_what_suits_them(self) -> TrainSettings:
        if not self.of_interactions:
            return self
        refused = {
            "recipe": (self.recipe == "paper", "recipe is of ratings: leave it null, or set tuned"),
            "biases": (bool(self.biases), "biases are of ratings: leave it null, or set false"),
            "method": (
                METHODS[self.method].compares,
                "method computes updates from ratings only: choose fp32, fp16, mascot, int8 or "
                "mascot-int8",
            ),
        }
        self._refuse("with train.objective interactions, ", refused)
        return self

    def _refuse(
        self, because: str, refused: Mapping[str, tuple[bool, str]], otherwise: str = ""
    ) -> None:
        """Refuse the first setting whose value is wrong, with the reason and a remedy."""
        for name, (wrong, remedy) in refused.items():
            if wrong:
                value = getattr(self, name)
                raise together(f"train.{name}: {value!r}: {because}{remedy}{otherwise}")

    @model_validator(mode="after")
    def _rotations_are_of_blocks(self) -> TrainSettings:
        if self.rotations is None:
            return self
        refused = {
            "deterministic": (
                self.deterministic is False and not self._MAY_RACE,
                "leave it null, or set true",
            ),
            "objective": (self.of_interactions, "set ratings"),
            "order": (self.order == "group-blocks", "choose runs or shuffled"),
        }
        self._refuse(
            "train.rotations orders the blocks of a deterministic training on ratings: ",
            refused,
            ", or leave train.rotations null",
        )
        return self

    @model_validator(mode="after")
    def _comparators_are_as_published(self) -> TrainSettings:
        """Refuse a storage or rounding other than the published one of a comparator."""
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

    @model_validator(mode="after")
    def _pruning_fits(self) -> TrainSettings:
        if self.pruning is not None:
            problem = self._problem_of_pruning(self.pruning)
            if problem is not None:
                raise together(problem)
        return self

    def _problem_of_pruning(self, pruning: PruningSettings) -> str | None:
        """Return a line on why this pruning is impossible; None if it is not."""
        begins = pruning.begins(self.epochs)
        if begins >= self.epochs:
            return (
                f"train.pruning.epoch: {begins}: must be below train.epochs, which is "
                f"{self.epochs}, so that an epoch is left to train pruned"
            )
        if METHODS[self.method].compares:
            return (
                f"train.pruning: {pruning.method!r}: train.method {self.method} is a published "
                "method to compare with, as it is: leave train.pruning null"
            )
        if pruning.factors is not None:
            return self._problem_of_projection(pruning.factors)
        if self.of_interactions:
            return (
                f"train.pruning: {pruning.method!r}: ends updates by ratings only: with "
                "train.objective interactions leave train.pruning null, or choose project"
            )
        if self.biases:
            return (
                f"train.biases: True: train.pruning {pruning.method} learns nothing behind biases, "
                "which leave all factors near zero: set train.biases to false"
            )
        return None

    def _problem_of_projection(self, kept: int) -> str | None:
        """Return a line on why rows cannot go on with so many factors; None if they can."""
        if kept >= self.factors:
            return (
                f"train.pruning.factors: {kept}: must be below train.factors, which is "
                f"{self.factors}"
            )
        if self.factors > MOST_PROJECTED:
            return (
                f"train.factors: {self.factors}: train.pruning project takes up to {MOST_PROJECTED}"
            )
        storage = STORAGES[self.storage or METHODS[self.method].storage]
        block = storage.scale_block if storage.scale_block < WHOLE_ROW else 0
        if block and kept % block:
            return (
                f"train.pruning.factors: {kept}: train.storage {storage.name} has a scale for "
                f"every {block} components: choose a multiple of {block}, or int8-row"
            )
        return None

    @property
    def beyond_cuda(self) -> str | None:
        """Why a GPU alone cannot train with these settings; None if it can."""
        if self.rotations is not None and not self.deterministic:
            return "cuda has train.rotations for trainings that GPUs share only"
        return self.beyond_shared_cuda

    @property
    def beyond_shared_cuda(self) -> str | None:
        """Why no number of GPUs can train with these settings; None if they can."""
        if self.deterministic:
            return "cuda has no train.deterministic"
        if self.order == "group-blocks":
            return "cuda has train.order shuffled and runs only"
        method = METHODS[self.method]
        has_scales = bool(STORAGES[self.storage or method.storage].scale_block)
        if self.exits_early and has_scales:
            return "cuda has train.pruning early-exit for float32 and float16 rows only"
        if self.factors <= MOST_HELD_FACTORS_ON_CUDA:
            return None
        if has_scales:
            return f"cuda trains int8 rows of up to {MOST_HELD_FACTORS_ON_CUDA} factors only"
        if method.compares:
            return f"cuda has {self.method} for up to {MOST_HELD_FACTORS_ON_CUDA} factors only"
        return None

    @property
    def normalised(self) -> bool:
        """Whether ratings are centred and scaled for training, and biases damped as fits them."""
        return self.recipe == "tuned" and not self.of_interactions

    @property
    def exits_early(self) -> bool:
        """Whether updates are to end at the first factor near zero."""
        return self.pruning is not None and not self.pruning.projects

    @property
    def left_to_ratings(self) -> tuple[str, ...]:
        """Names of the settings that the ratings decide."""
        names = ("learning_rate", "user_reg", "item_reg")
        return tuple(name for name in names if getattr(self, name) is None)

    def plan(
        self,
        platform: str = "cpu",
        *,
        few_ratings: bool = False,
        decided: Strength | None = None,
    ) -> TrainPlan:
        """Return these settings, with nulls filled in for the method, the device and the ratings.

        Parameters
        ----------
        platform
            JAX's name of the kind of device; decides ``deterministic`` if that is null.
        few_ratings
            Whether there are few ratings (``FEW_RATINGS``); decides ``biases`` of the recipe
            ``paper`` if that is null.
        decided
            Step size and regularisation where they are null; None: for many ratings a row.
        """
        if decided is None:
            decided = strength(LEAST_UNCERTAINTY)
            if self.of_interactions:
                decided = strength_of_interactions(LEAST_UNCERTAINTY, self.loss)
        method = METHODS[self.method]
        filled = method._asdict() | {
            "threshold": method.thresholds.get(self.criterion or method.criterion or ""),
            "deterministic": platform == "cpu",
            "biases": (few_ratings or self.normalised)
            and not self.of_interactions
            and not self.exits_early,
            "learning_rate": decided.learning_rate,
            "user_reg": decided.user_reg,
            "item_reg": decided.item_reg,
            **(INTERACTION_DEFAULTS if self.of_interactions else {}),
        }
        given = {name: value for name, value in self if value is not None}
        if self.pruning is not None:
            begins = self.pruning.begins(self.epochs)
            given["pruning"] = self.pruning.model_copy(update={"epoch": begins})
        names = set(type(self).model_fields)
        values = {name: value for name, value in filled.items() if name in names} | given
        return TrainPlan.model_validate(values)


class TrainPlan(TrainSettings):
    """Settings of a training with nothing left open, as the training code takes them.

    ``criterion`` to ``warmup`` are None for a method that never measures.
    """

    learning_rate: Annotated[Finite, Field(gt=0)]
    user_reg: Annotated[Finite, Field(ge=0)]
    item_reg: Annotated[Finite, Field(ge=0)]
    biases: bool
    storage: Literal[tuple(STORAGES)]  # type: ignore[valid-type]
    rounding: Literal["nearest", "stochastic"]
    deterministic: bool
    _MAY_RACE: ClassVar[bool] = True  # where it is the device that has decided it: GPUs

    @model_validator(mode="after")
    def _what_promotes_measures(self) -> TrainPlan:
        numbers = (self.criterion, self.threshold, self.period, self.sample_ratio, self.warmup)
        if self.unit is not Unit.NONE and None in numbers:
            raise together(
                f"train.method: {self.method!r}: needs criterion, threshold, period, sample_ratio "
                f"and warmup, not {numbers}"
            )
        return self

    def pruned_to(self, epoch: int) -> int | None:
        """Return the factors of a row in an epoch, from 0, if they are fewer than at first."""
        if self.pruning is None or epoch < self.pruning.begins(self.epochs):
            return None
        return self.pruning.factors

    def width(self, epochs: int) -> int:
        """Return the factors of a row after so many epochs."""
        return self.pruned_to(epochs) or self.factors

    @property
    def storages(self) -> tuple[Storage, ...]:
        """Storages of rows: the one at the start, then those that groups are promoted to."""
        first = STORAGES[self.storage]
        return (first,) if self.unit is Unit.NONE else promotions(first)

    @property
    def unit(self) -> Unit:
        """What is promoted at a time: nothing, a side as a whole, or a group."""
        return METHODS[self.method].unit
