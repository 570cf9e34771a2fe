"""Trainings of several variants, epoch by epoch in turn, so that a noisy machine is fair to all.

All variants of a race live in one process, on one fold, from one seed. Round t takes each of them
one epoch further, beginning with another one each time; what is timed is what ``fit`` times. Before
the first round every variant trains and scores an epoch that is thrown away: all is compiled then.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from mascot_jax.engine.devices import usable_cores
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.state import TrainState
from mascot_jax.errors import DivergenceError
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.tables.groups import Grouping
from mascot_jax.tables.traffic import Traffic, relative_bytes
from mascot_jax.training.initial import initial_state
from mascot_jax.training.loop import fit
from mascot_jax.training.problem import Prepared
from mascot_jax.training.records import EpochRecord, Progress
from mascot_jax.training.scoring import HeldOut
from studies.paper.core.settings import Training
from studies.paper.core.world import World

GROUPS: Final = 100
"""Of a side, unless a variant has others [g = 100]."""

Begin = Callable[[TrainState, TrainSettings, Execution, int], TrainState]
"""Changes a state before its first epoch; the last argument is the repetition's seed."""


class Variant(NamedTuple):
    """One way of training."""

    name: str
    """Its own in a race."""
    values: Mapping[str, Any]
    """Its settings, over those that all variants have (``variant_settings``)."""
    groups: int = GROUPS
    """Wanted, of each side."""
    lookup: str = "direct"
    """As of ``Execution``."""
    begin: Begin | None = None


class Scored(enum.Enum):
    """After which epochs the test ratings are scored."""

    NEVER = "never"
    LAST = "last"
    EACH = "each"


class Outcome(NamedTuple):
    """One training of a variant."""

    records: tuple[EpochRecord, ...]
    switched: list[float]
    """Of each epoch: the share of its row visits that were not to the method's first storage."""
    relative_bytes: float
    """That row visits of the whole training moved, to those of float32."""

    @property
    def seconds(self) -> float:
        """Of all its epochs."""
        return sum(record.seconds for record in self.records)

    @property
    def rmses(self) -> list[float]:
        """After the epochs that were scored."""
        return [record.test_rmse for record in self.records if record.test_rmse is not None]

    @property
    def rmse(self) -> float:
        """After the last epoch."""
        return self.rmses[-1]


def race(
    variants: Sequence[Variant],
    world: World,
    training: Training,
    seed: int,
    scored: Scored,
    on_epoch: Callable[[str], object] = lambda name: None,
) -> dict[str, Outcome]:
    """Train all variants from the beginning to the end.

    Parameters
    ----------
    variants
        With names of their own.
    world
        What they train on.
    training
        The profile's settings.
    seed
        Of initial factors, order and samples.
    scored
        When to score, outside the time that is taken.
    on_epoch
        Called with a variant's name after each of its epochs.

    Returns
    -------
    outcomes
        By the variants' names, in their order.

    Raises
    ------
    DivergenceError
        If a variant's factors are no longer finite.
    """
    runners = _line_up(variants, world, training, seed)
    for runner in runners:
        runner.warm_up(scored)
    for epoch in range(training.epochs):
        first = epoch % len(runners)
        for runner in runners[first:] + runners[:first]:
            runner.step(scored is Scored.EACH or (scored is Scored.LAST and runner.at_the_last))
            on_epoch(runner.variant.name)
    return {runner.variant.name: runner.outcome for runner in runners}


def variant_settings(variant: Variant, training: Training, seed: int) -> TrainSettings:
    """Return a variant's settings, complete.

    Updates race as in the paper (Hogwild), unless the variant says ``deterministic``.
    """
    shared = training.model_dump() | {"deterministic": False, "seed": seed}
    return validate(TrainSettings, shared | dict(variant.values)).resolved()


def _line_up(
    variants: Sequence[Variant], world: World, training: Training, seed: int
) -> list[_Runner]:
    """Return runners; variants that visit the ratings in the same order share them."""
    laid_out: dict[tuple[Any, ...], tuple[Prepared, HeldOut]] = {}
    runners = []
    for variant in variants:
        settings = variant_settings(variant, training, seed)
        groups = world.groups(variant.groups)
        blocks = variant.groups if settings.order == "group-blocks" else None
        key = (settings.order, settings.deterministic, blocks)
        if key not in laid_out:
            prepared = world.prepare(settings, *groups)
            laid_out[key] = prepared, world.held_out(prepared)
        runners.append(_Runner(variant, settings, *groups, *laid_out[key]))
    return runners


class _Runner:
    """One variant on its way."""

    def __init__(
        self,
        variant: Variant,
        settings: TrainSettings,
        users: Grouping,
        items: Grouping,
        prepared: Prepared,
        test: HeldOut,
    ) -> None:
        self.variant = variant
        self._settings = settings
        self._users, self._items = users, items
        self._prepared, self._test = prepared, test
        self._execution = Execution(
            settings.threads or usable_cores(), lookup=variant.lookup, writes=settings.writes
        )
        self._records: list[EpochRecord] = []
        self._state = self._begin()

    @property
    def at_the_last(self) -> bool:
        """Whether only one epoch is left."""
        return len(self._records) + 1 == self._settings.epochs

    def warm_up(self, scored: Scored) -> None:
        """Have everything compiled, on a state that is thrown away."""
        self._fit(Progress(self._begin()), scored is not Scored.NEVER)

    def step(self, scored: bool) -> None:
        """Train for an epoch."""
        start = Progress(self._state, tuple(self._records))
        self._state, record = self._fit(start, scored)
        self._records.append(record)

    def _begin(self) -> TrainState:
        settings = self._settings
        state = initial_state(self._users.starts, self._items.starts, settings)
        begin = self.variant.begin
        return state if begin is None else begin(state, settings, self._execution, settings.seed)

    def _fit(self, start: Progress, scored: bool) -> tuple[TrainState, EpochRecord]:
        """Have ``fit`` go on for one epoch."""
        records: list[EpochRecord] = []

        def stop(record: EpochRecord, _: TrainState) -> bool:
            records.append(record)
            return True

        test = self._test if scored else None
        try:
            state = fit(start, self._prepared, self._settings, self._execution, stop, test=test)
        except DivergenceError as error:
            raise DivergenceError(f"variant {self.variant.name}: {error}") from error
        return state, records[0]

    @property
    def outcome(self) -> Outcome:
        """What came of it."""
        storages = self._settings.storages
        visits = self._users.visits, self._items.visits
        traffic, switched = Traffic(*visits, storages), []
        for record in self._records:
            codes = record.users.codes, record.items.codes
            traffic.add_epoch(*codes)
            moved = [v[c != storages[0].code].sum() for v, c in zip(visits, codes, strict=True)]
            switched.append(float(sum(moved) / sum(v.sum() for v in visits)))
        shares = traffic.shares
        return Outcome(
            tuple(self._records), switched, relative_bytes(shares, self._settings.factors)
        )
