"""Trainings of several variants, epoch by epoch in turn, so that a noisy machine is fair to all.

All variants of a race live in one process, on one fold, from one seed. Round t takes each of them
one epoch further, beginning with another one each time; what is timed is what ``train_state``
times. Before the first round every variant trains and scores an epoch that is thrown away: all is
compiled then.
"""

from __future__ import annotations

import enum
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from benchmarks.harness.early_exit import rmse_to_stop
from benchmarks.harness.problems import regrouped
from mascot_jax.engine.devices import execution_of
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.ratings import Triples
from mascot_jax.engine.state import TrainState
from mascot_jax.errors import DivergenceError, PruningWarning
from mascot_jax.settings import TrainPlan, TrainSettings, validate
from mascot_jax.tables.traffic import Traffic, relative_bytes
from mascot_jax.training.loop import begin, train_state
from mascot_jax.training.problem import Prepared, Problem, prepare
from mascot_jax.training.records import EpochRecord, Progress
from studies.paper.core.settings import Training

GROUPS: Final = 100
"""Of a side, unless a variant has others [g = 100]."""

Begin = Callable[[TrainState, Execution], TrainState]
"""Changes a state before its first epoch."""


class Variant(NamedTuple):
    """One way of training."""

    name: str
    """Its own in a race."""
    values: Mapping[str, Any]
    """Its settings, over those that all variants have (``variant_plan``)."""
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
    visited: float = 1.0
    """Share of a row's components that updates visited, of those that it began with."""
    rmse_to_stop: float | None = None
    """After the last epoch, of predictions that end early, too; None if updates never do, or
    nothing was scored."""

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
    problem: Problem,
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
    problem
        What they train on, in any groups.
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
    runners = _line_up(variants, problem, training, seed)
    for runner in runners:
        runner.warm_up(scored)
    for epoch in range(training.epochs):
        first = epoch % len(runners)
        for runner in runners[first:] + runners[:first]:
            runner.step(scored is Scored.EACH or (scored is Scored.LAST and runner.at_the_last))
            on_epoch(runner.variant.name)
    return {runner.variant.name: runner.outcome for runner in runners}


def variant_plan(variant: Variant, training: Training, seed: int) -> TrainPlan:
    """Return how a variant trains.

    Updates race as in the paper (Hogwild), unless the variant says ``deterministic``.
    """
    shared = training.model_dump(exclude={"backend", "threads"})
    shared |= {"deterministic": False, "seed": seed}
    return validate(TrainSettings, shared | dict(variant.values)).plan()


def _line_up(
    variants: Sequence[Variant], problem: Problem, training: Training, seed: int
) -> list[_Runner]:
    """Return runners; variants that visit the ratings in the same order share them."""
    grouped = {groups: regrouped(problem, groups) for groups in {v.groups for v in variants}}
    laid_out: dict[tuple[Any, ...], Prepared] = {}
    runners = []
    for variant in variants:
        plan, own = variant_plan(variant, training, seed), grouped[variant.groups]
        execution = execution_of(plan, training.run)._replace(lookup=variant.lookup)
        blocks = variant.groups if plan.order == "group-blocks" else None
        key = (plan.order, plan.deterministic, blocks)
        if key not in laid_out:
            laid_out[key] = prepare(own, plan, execution)
        prepared = laid_out[key]._replace(plan=plan, users=own.users, items=own.items)
        runners.append(_Runner(variant, prepared, own.test, execution))
    return runners


class _Runner:
    """One variant on its way."""

    def __init__(
        self, variant: Variant, prepared: Prepared, test: Triples | None, execution: Execution
    ) -> None:
        self.variant = variant
        self._prepared, self._test, self._execution = prepared, test, execution
        self._records: list[EpochRecord] = []
        self._scored = False  # after the last epoch so far
        self._state = self._begin()

    @property
    def at_the_last(self) -> bool:
        """Whether only one epoch is left."""
        return len(self._records) + 1 == self._prepared.plan.epochs

    def warm_up(self, scored: Scored) -> None:
        """Have everything compiled, on a state that is thrown away.

        Of a training that is pruned, an epoch before that and one after it.
        """
        prepared, plan = self._prepared, self._prepared.plan
        if plan.pruning is not None:
            at_once = plan.pruning.model_copy(update={"epoch": 1})
            prepared = prepared._replace(plan=plan.model_copy(update={"pruning": at_once}))
        progress = Progress(self._begin())
        for _ in range(1 if plan.pruning is None else 2):
            state, record = self._train(prepared, progress, scored is not Scored.NEVER)
            progress = Progress(state, (*progress.records, record))

    def step(self, scored: bool) -> None:
        """Train for an epoch."""
        start = Progress(self._state, tuple(self._records))
        self._state, record = self._train(self._prepared, start, scored)
        self._scored = scored
        self._records.append(record)

    def _begin(self) -> TrainState:
        state, change = begin(self._prepared).state, self.variant.begin
        return state if change is None else change(state, self._execution)

    def _train(
        self, prepared: Prepared, start: Progress, scored: bool
    ) -> tuple[TrainState, EpochRecord]:
        """Have ``train_state`` go on for one epoch."""
        records: list[EpochRecord] = []

        def stop(record: EpochRecord, _: TrainState) -> bool:
            records.append(record)
            return True

        prepared = prepared if scored else prepared._replace(test=None)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", PruningWarning)  # ``visited`` says it
                state = train_state(prepared, self._execution, stop, start=start)
        except DivergenceError as error:
            raise DivergenceError(f"variant {self.variant.name}: {error}") from error
        return state, records[0]

    @property
    def outcome(self) -> Outcome:
        """What came of it."""
        prepared, storages = self._prepared, self._prepared.plan.storages
        visits = prepared.users.visits, prepared.items.visits
        traffic, switched = Traffic(*visits, storages), []
        for record in self._records:
            codes = record.users.codes, record.items.codes
            traffic.add_epoch(*codes, prepared.plan.pruned_to(record.epoch))
            moved = [v[c != storages[0].code].sum() for v, c in zip(visits, codes, strict=True)]
            switched.append(float(sum(moved) / sum(v.sum() for v in visits)))
        to_float32 = relative_bytes(traffic.shares, prepared.plan.factors)
        to_stop = None
        if self._scored and self._test is not None:
            to_stop = rmse_to_stop(self._state, self._test, prepared.rule, self._execution)
        return Outcome(tuple(self._records), switched, to_float32, self._visited, to_stop)

    @property
    def _visited(self) -> float:
        """``Outcome.visited``; a record's share is that of the epoch after it."""
        plan, shares = self._prepared.plan, [record.visited for record in self._records]
        return statistics.fmean(
            (plan.pruned_to(epoch) or plan.factors)
            / plan.factors
            * (1.0 if share is None else share)
            for epoch, share in enumerate([1.0, *shares[:-1]])
        )
