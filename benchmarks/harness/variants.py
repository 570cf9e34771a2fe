"""Epochs to time over one workload: methods, roundings and orders, in which no group switches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness.timing import Variant
from benchmarks.harness.workload import Workload
from mascot_jax.engine import kernels
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.layout import lay_out
from mascot_jax.engine.ratings import Ratings
from mascot_jax.engine.state import TrainState
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.settings.methods import METHODS
from mascot_jax.tables.groups import Grouping
from mascot_jax.tables.storage import FLOAT16, FLOAT32
from mascot_jax.tables.table import Side
from mascot_jax.tables.traffic import relative_bytes
from mascot_jax.training.epoch import train_epoch
from mascot_jax.training.initial import initial_state

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

    settings: TrainSettings
    """Resolved."""
    shares: Mapping[str, float]
    """Storage name -> share of the row visits."""

    @property
    def row_bytes(self) -> float:
        """Bytes of a row, on average over the visits."""
        return FLOAT32.row_bytes(self.settings.factors) * relative_bytes(
            self.shares, self.settings.factors
        )


class Maker:
    """Makes epochs over one workload; ratings are laid out once for each order."""

    def __init__(self, workload: Workload, factors: int, execution: Execution) -> None:
        self.workload, self.factors, self.execution = workload, factors, execution
        self._laid_out: dict[tuple[str, bool | None], Ratings] = {}

    def settings(self, method: str, **values: Any) -> TrainSettings:
        """Return resolved settings for a whole training."""
        given = {"method": method, "factors": self.factors, "epochs": EPOCHS}
        return validate(TrainSettings, given | {"deterministic": False} | values).resolved()

    def state(self, settings: TrainSettings) -> TrainState:
        """Return factors of one's own to train."""
        return initial_state(self.workload.users.starts, self.workload.items.starts, settings)

    def ratings(self, settings: TrainSettings) -> Ratings:
        """Return the ratings laid out as the settings ask."""
        key = settings.order, settings.deterministic
        if key not in self._laid_out:
            ratings, users, items = self.workload
            self._laid_out[key] = lay_out(ratings, settings, users.starts, items.starts)
        return self._laid_out[key]

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
        settings = self.settings(method, threshold=_NEVER, learning_rate=1e-3, **values)
        state, shares = self.state(settings), {settings.storage or FLOAT32.name: 1.0}
        if half_promoted:
            state, shares = self._promote_half(state)
        ratings, run = self.ratings(settings), execution or self.execution

        def step(state: TrainState) -> TrainState:
            at_epoch = state._replace(epoch=jnp.uint32(number))
            return train_epoch(at_epoch, ratings, settings, run)[0]

        return Epoch(name, state, step, settings, shares)

    def stream(self, name: str, method: str, **values: Any) -> Epoch:
        """Return the loads and stores of the rows alone, in the order of these settings."""
        settings = self.settings(method, **values)
        step: Callable[[TrainState], TrainState] = partial(
            _stream,
            ratings=self.ratings(settings),
            factors=self.factors,
            execution=self.execution,
        )
        shares = {settings.storage or FLOAT32.name: 1.0}
        return Epoch(name, self.state(settings), step, settings, shares)

    def _promote_half(self, state: TrainState) -> tuple[TrainState, dict[str, float]]:
        promote = jax.jit(
            partial(kernels.promote, factors=self.factors, execution=self.execution),
            donate_argnums=0,
        )
        _, *groupings = self.workload
        sides, halves = [], []
        for side, grouping in zip((state.users, state.items), groupings, strict=True):
            codes, half = _half_in_float32(side, grouping)
            sides.append(promote(side, jnp.asarray(codes)))
            halves.append(half)
        share = sum(halves) / 2
        shares = {FLOAT16.name: share, FLOAT32.name: 1 - share}
        return state._replace(users=sides[0], items=sides[1]), shares


def _half_in_float32(side: Side, grouping: Grouping) -> tuple[np.ndarray[Any, Any], float]:
    """Choose groups, spread from the most-rated to the least, that carry half the traffic.

    Return the codes of all groups, uint8 ``(g,)``, and the share of the visits left in float16.
    """
    codes, visits = np.array(side.codes), grouping.visits
    promoted = 0
    for group, seen in enumerate(np.cumsum(visits)):
        if promoted + visits[group] / 2 <= seen / 2:
            codes[group] = FLOAT32.code
            promoted += int(visits[group])
    return codes, float(visits[codes == FLOAT16.code].sum() / visits.sum())


@partial(jax.jit, static_argnames=("factors", "execution"), donate_argnames="state")
def _stream(state: TrainState, ratings: Ratings, factors: int, execution: Execution) -> TrainState:
    rates, counters = jnp.zeros(5, jnp.float32), jnp.array([0, PLAIN_EPOCH], jnp.uint32)
    users, items = kernels.run_stream(
        ratings, state.users, state.items, rates, counters, factors=factors, execution=execution
    )
    return state._replace(users=users, items=items)
