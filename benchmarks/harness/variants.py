"""Epochs to time over one problem: methods, roundings and orders, in which no group switches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness.timing import Variant
from mascot_jax.engine import kernels
from mascot_jax.engine.cores import usable_cores
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.ratings import Ratings
from mascot_jax.engine.state import TrainState
from mascot_jax.settings import TrainPlan, TrainSettings, validate
from mascot_jax.settings.methods import METHODS
from mascot_jax.tables.groups import Grouping
from mascot_jax.tables.storage import FLOAT16, FLOAT32
from mascot_jax.tables.table import Table
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
_NEVER = 1e30
"""A threshold that no q-error exceeds."""


@dataclass(frozen=True)
class Epoch(Variant):
    """An epoch to time; the state is a ``TrainState``."""

    plan: TrainPlan
    shares: Mapping[str, float]
    """Storage name -> share of the row visits."""

    @property
    def row_bytes(self) -> float:
        """Bytes of a row, on average over the visits."""
        factors = self.plan.factors
        return FLOAT32.row_bytes(factors) * relative_bytes(self.shares, factors)


class Maker:
    """Makes epochs over one problem; ratings are laid out once for each order."""

    def __init__(self, problem: Problem, factors: int, execution: Execution) -> None:
        self.problem, self.factors, self.execution = problem, factors, execution
        self._prepared: dict[tuple[str, bool], Prepared] = {}

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
        state, shares = begin(prepared).state, {plan.storage: 1.0}
        if half_promoted:
            state, shares = self._promote_half(state)

        def step(state: TrainState) -> TrainState:
            at_epoch = state._replace(epoch=jnp.uint32(number))
            return train_epoch(at_epoch, prepared.ratings, plan, run)[0]

        return Epoch(name, state, step, plan, shares)

    def stream(self, name: str, method: str, **values: Any) -> Epoch:
        """Return the loads and stores of the rows alone, in the order of these settings."""
        prepared = self.prepared(method, **values)
        step: Callable[[TrainState], TrainState] = partial(
            _stream, ratings=prepared.ratings, execution=self.execution
        )
        plan = prepared.plan
        return Epoch(name, begin(prepared).state, step, plan, {plan.storage: 1.0})

    def _promote_half(self, state: TrainState) -> tuple[TrainState, dict[str, float]]:
        promote = jax.jit(partial(kernels.promote, execution=self.execution), donate_argnums=0)
        groupings = self.problem.users, self.problem.items
        tables, halves = [], []
        for table, grouping in zip((state.users, state.items), groupings, strict=True):
            codes, half = _half_in_float32(table, grouping)
            tables.append(promote(table, jnp.asarray(codes)))
            halves.append(half)
        share = sum(halves) / 2
        shares = {FLOAT16.name: share, FLOAT32.name: 1 - share}
        return state._replace(users=tables[0], items=tables[1]), shares


def _half_in_float32(table: Table, grouping: Grouping) -> tuple[np.ndarray[Any, Any], float]:
    """Choose groups, spread from the most-rated to the least, that carry half the traffic.

    Return the codes of all groups, uint8 ``(g,)``, and the share of the visits left in float16.
    """
    codes, visits = np.array(table.codes), grouping.visits
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
