"""Epochs to time over one problem: methods, roundings and orders, in which no group switches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.timing import Variant
from mascot_jax.base.arrays import parts
from mascot_jax.engine import kernels
from mascot_jax.engine.cores import usable_cores
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.ratings import Ratings
from mascot_jax.engine.state import TrainState
from mascot_jax.settings import TrainPlan, TrainSettings, validate
from mascot_jax.settings.methods import METHODS
from mascot_jax.tables.groups import Grouping
from mascot_jax.tables.storage import FLOAT16, FLOAT32
from mascot_jax.tables.traffic import relative_bytes
from mascot_jax.training.epoch import train_epoch
from mascot_jax.training.loop import begin
from mascot_jax.training.problem import Prepared, Problem, prepare

PRESET = METHODS["mascot"]
assert PRESET.warmup is not None
assert PRESET.period is not None
assert PRESET.period > 1  # the epoch after the first measured one is plain
PLAIN_EPOCH, MEASURED_EPOCH = PRESET.warmup + 1, PRESET.warmup
EPOCHS = 50
Codes = NDArray[np.uint8]
_NEVER = 1e30
"""A threshold that no q-error exceeds."""


class Setting(NamedTuple):
    """One way to train."""

    name: str
    method: str
    values: Mapping[str, Any] = MappingProxyType({})


RUNS, BLOCKS = {"order": "runs"}, {"order": "group-blocks"}
STOCHASTIC, DETERMINISTIC = {"rounding": "stochastic"}, {"deterministic": True}
DEFAULT = "fp16, stochastic, runs, deterministic"
"""The library's."""
SETTINGS = (
    Setting("fp32", "fp32"),
    Setting("fp32, runs", "fp32", RUNS),
    Setting("fp32, group-blocks", "fp32", BLOCKS),
    Setting("fp32, deterministic", "fp32", DETERMINISTIC),
    Setting("fp16", "fp16"),
    Setting("fp16, stochastic", "fp16", STOCHASTIC),
    Setting("fp16, stochastic, runs", "fp16", STOCHASTIC | RUNS),
    Setting("fp16, stochastic, group-blocks", "fp16", STOCHASTIC | BLOCKS),
    Setting("fp16, stochastic, deterministic", "fp16", STOCHASTIC | DETERMINISTIC),
    Setting(DEFAULT, "fp16", STOCHASTIC | RUNS | DETERMINISTIC),
    Setting("int8, runs", "int8", RUNS),
)


@dataclass(frozen=True, kw_only=True)
class Epoch(Variant):
    """An epoch to time; the state is a ``TrainState``."""

    plan: TrainPlan
    shares: Mapping[str, float]
    """Storage name -> share of the row visits."""
    threads: int
    runs_per_rating: float
    """Users' rows that are moved for each rating: fewer than 1 where ratings lie in runs."""

    @property
    def row_bytes(self) -> float:
        """Bytes of a row, on average over the visits."""
        factors = self.plan.factors
        return FLOAT32.row_bytes(factors) * relative_bytes(self.shares, factors)

    @property
    def rating_bytes(self) -> float:
        """Bytes that a rating moves, as ``rating_bytes`` has them."""
        return rating_bytes(self.row_bytes, self.runs_per_rating)


def rating_bytes(row_bytes: float, runs: float) -> float:
    """Return the bytes that a rating moves: its rows, read and written, and itself, read.

    As many rows as if none stayed in a cache from one run of a user to the next.
    """
    return 2 * (1 + runs) * row_bytes + 12


class Maker:
    """Makes epochs over one problem; ratings are laid out once for each order."""

    def __init__(self, problem: Problem, factors: int, execution: Execution) -> None:
        self.problem, self.factors, self.execution = problem, factors, execution
        self._prepared: dict[tuple[str, bool], Prepared] = {}

    def alike(self, factors: int, execution: Execution) -> Maker:
        """Return one for other epochs over the same ratings, which are not laid out again."""
        other = Maker(self.problem, factors, execution)
        other._prepared = self._prepared
        return other

    def prepared(self, method: str, **values: Any) -> Prepared:
        """Return the problem, ready for a whole training with these settings."""
        given = {"method": method, "factors": self.factors, "epochs": EPOCHS}
        plan = validate(TrainSettings, given | {"deterministic": False} | values).plan()
        key = plan.order, plan.deterministic
        if key not in self._prepared:
            # With all cores, even where epochs are to have fewer: the layout is the same.
            self._prepared[key] = prepare(self.problem, plan, Execution(usable_cores()))
        return self._prepared[key]._replace(plan=plan)

    def epoch(
        self,
        name: str,
        method: str,
        *,
        number: int = PLAIN_EPOCH,
        execution: Execution | None = None,
        half_promoted: bool = False,
        **values: Any,
    ) -> Epoch:
        """Return an epoch of this number, repeated, by its settings.

        With ``half_promoted``, groups with half of the visits are in float32.
        """
        # With these no group switches and no factor grows, however often the epoch is repeated.
        prepared = self.prepared(method, threshold=_NEVER, learning_rate=1e-3, **values)
        plan, run = prepared.plan, execution or self.execution

        def step(state: TrainState) -> TrainState:
            at_epoch = state._replace(epoch=jnp.uint32(number))
            return train_epoch(at_epoch, prepared.ratings, plan, run)[0]

        return self._variant(name, prepared, step, run, half_promoted)

    def stream(self, name: str, method: str, **values: Any) -> Epoch:
        """Return the loads and stores of the rows alone, in the order of these settings."""
        prepared = self.prepared(method, **values)
        step: Callable[[TrainState], TrainState] = partial(
            _stream, ratings=prepared.ratings, execution=self.execution
        )
        return self._variant(name, prepared, step, self.execution)

    def _variant(
        self,
        name: str,
        prepared: Prepared,
        step: Callable[[TrainState], TrainState],
        execution: Execution,
        half_promoted: bool = False,
    ) -> Epoch:
        plan = prepared.plan
        codes, share = self._half_in_float32() if half_promoted else ((), 1.0)
        shares = {plan.storage: share}
        if half_promoted:
            shares[FLOAT32.name] = 1 - share

        def first() -> TrainState:
            state = begin(prepared).state
            return _promoted(state, codes, execution) if half_promoted else state

        return Epoch(
            name,
            first,
            step,
            (plan.method, plan.factors, half_promoted),
            plan=plan,
            shares=shares,
            threads=execution.threads,
            runs_per_rating=runs_per_rating(prepared.ratings),
        )

    def _half_in_float32(self) -> tuple[tuple[Codes, ...], float]:
        """Choose groups of both sides that carry half the traffic.

        Return the codes of each side's groups, and the share of the visits left in float16.
        """
        sides = [_half_in_float32(side) for side in (self.problem.users, self.problem.items)]
        return tuple(codes for codes, _ in sides), sum(share for _, share in sides) / 2


def runs_per_rating(ratings: Ratings) -> float:
    """Return the number of runs of one user, whose row is moved once, for each rating."""
    if ratings.order != "runs":
        return 1.0
    users = ratings.host()[0]
    begins = 1 + sum(
        int(np.count_nonzero(users[part][1:] != users[part][:-1])) for part in parts(len(users))
    )
    return begins / len(users)


def _promoted(state: TrainState, codes: tuple[Codes, ...], execution: Execution) -> TrainState:
    promote = jax.jit(partial(kernels.promote, execution=execution), donate_argnums=0)
    users, items = (
        promote(table, jnp.asarray(np.pad(own, (0, table.groups - len(own)), "edge")))
        for table, own in zip((state.users, state.items), codes, strict=True)
    )
    return state._replace(users=users, items=items)


def _half_in_float32(grouping: Grouping) -> tuple[Codes, float]:
    """Choose groups, spread from the most-rated to the least, that carry half the traffic.

    Return the codes of all groups, uint8 ``(g,)``, and the share of the visits left in float16.
    """
    visits = grouping.visits
    codes = np.full(len(visits), FLOAT16.code, np.uint8)
    promoted = 0
    for group, seen in enumerate(np.cumsum(visits)):
        if promoted + visits[group] / 2 <= seen / 2:
            codes[group] = FLOAT32.code
            promoted += int(visits[group])
    return codes, float(visits[codes == FLOAT16.code].sum() / visits.sum())


@partial(jax.jit, static_argnames="execution", donate_argnames="state")
def _stream(state: TrainState, ratings: Ratings, execution: Execution) -> TrainState:
    rates, counters = jnp.zeros(5, jnp.float32), jnp.array([0, PLAIN_EPOCH], jnp.uint32)
    users, items = kernels.run_stream(
        ratings, state.users, state.items, rates, counters, execution=execution
    )
    return state._replace(users=users, items=items)
