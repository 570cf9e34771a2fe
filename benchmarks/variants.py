"""What ``benchmarks.throughput`` times: methods, roundings and orders over one workload."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.workload import Workload
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
from mascot_jax.training.epoch import train_epoch
from mascot_jax.training.initial import initial_state

Step = Callable[[TrainState], TrainState]

PRESET = METHODS["mascot"]
assert PRESET.warmup is not None
assert PRESET.period is not None
assert PRESET.period > 1  # the epoch after the first measured one is plain
PLAIN_EPOCH, MEASURED_EPOCH = PRESET.warmup + 1, PRESET.warmup
EPOCHS = 50
NEVER = 1e30
"""A threshold that no q-error exceeds."""

PLAIN, MEASURING, HALF = "mascot, plain epoch", "mascot, measuring epoch", "mascot, half in fp32"


class Variant(NamedTuple):
    """One thing to time: a state, and what takes it a step further."""

    name: str
    storage: str
    shares: dict[str, float]
    """Storage name -> share of the row visits."""
    state: TrainState
    step: Step
    rounding: str = "nearest"
    order: str = "shuffled"
    deterministic: bool = False


COMPOSED = (
    ("fp32, runs", "fp32", "nearest", "runs", False),
    ("fp32, group-blocks", "fp32", "nearest", "group-blocks", False),
    ("fp32, deterministic", "fp32", "nearest", "shuffled", True),
    ("fp16, stochastic", "fp16", "stochastic", "shuffled", False),
    ("fp16, stochastic, runs", "fp16", "stochastic", "runs", False),
    ("fp16, stochastic, group-blocks", "fp16", "stochastic", "group-blocks", False),
    ("fp16, stochastic, deterministic", "fp16", "stochastic", "shuffled", True),
    ("fp16, stochastic, runs, deterministic", "fp16", "stochastic", "runs", True),
    ("int8, runs", "int8", "stochastic", "runs", False),
)
"""Name, method, rounding, order, deterministic; all but int8 as accurate as fp32, or nearly
(``benchmarks.accuracy``)."""


class _Maker:
    """Makes variants over one workload; ratings are laid out once for each order."""

    def __init__(self, workload: Workload, factors: int, execution: Execution) -> None:
        self._workload = workload
        self._factors = factors
        self._execution = execution
        self._laid_out: dict[tuple[str, bool | None], Ratings] = {}

    def settings(self, method: str, **values: Any) -> TrainSettings:
        """Return settings with which no group ever switches, and no factor grows."""
        given = {"method": method, "factors": self._factors, "epochs": EPOCHS, "threshold": NEVER}
        given |= {"deterministic": False, "learning_rate": 1e-3}
        return validate(TrainSettings, given | values)

    def state(self, settings: TrainSettings) -> TrainState:
        """Return factors of one's own to train."""
        _, users, items = self._workload
        return initial_state(users.starts, items.starts, settings)

    def train(self, settings: TrainSettings, epoch: int = PLAIN_EPOCH) -> Step:
        """Return the step that repeats an epoch of this number."""
        ratings, users, items = self._workload
        key = (settings.order, settings.deterministic)
        if key not in self._laid_out:
            self._laid_out[key] = lay_out(ratings, settings, users.starts, items.starts)
        laid_out = self._laid_out[key]

        def step(state: TrainState) -> TrainState:
            at_epoch = state._replace(epoch=jnp.uint32(epoch))
            return train_epoch(at_epoch, laid_out, settings, self._execution)[0]

        return step

    def composed(
        self, name: str, method: str, rounding: str, order: str, deterministic: bool
    ) -> Variant:
        """Return a variant by its settings."""
        settings = self.settings(
            method, rounding=rounding, order=order, deterministic=deterministic
        )
        storage = settings.resolved().storage or "float32"
        step = self.train(settings)
        state = self.state(settings)
        return Variant(name, storage, {storage: 1.0}, state, step, rounding, order, deterministic)


def make_variants(
    workload: Workload, factors: int, execution: Execution, names: list[str] | None
) -> list[Variant]:
    """Return all variants in the order of the table, or those of these names and ``fp32``."""
    make = _Maker(workload, factors, execution)
    makers: dict[str, Callable[[], Variant]] = {
        "fp32": partial(make.composed, "fp32", "fp32", "nearest", "shuffled", False),
        **_of_the_paper(make, workload, factors, execution),
        **{composed[0]: partial(make.composed, *composed) for composed in COMPOSED},
    }
    unknown = [name for name in names or () if name not in makers]
    if unknown:
        sys.exit(f"--variants: no {', '.join(unknown)}; there are: {'; '.join(makers)}")
    return [maker() for name, maker in makers.items() if not names or name in ("fp32", *names)]


def _of_the_paper(
    make: _Maker, workload: Workload, factors: int, execution: Execution
) -> dict[str, Callable[[], Variant]]:
    """Return what makes the variants that have more to them than settings, by name."""
    ratings, users, items = workload
    mascot = make.settings("mascot")
    all32, all16 = {"float32": 1.0}, {"float16": 1.0}

    def step_of_stream(state: TrainState) -> TrainState:
        users, items = _stream(state.users, state.items, ratings, factors, execution)
        return state._replace(users=users, items=items)

    def stream() -> Variant:
        return Variant(
            "stream", "float32", all32, make.state(make.settings("fp32")), step_of_stream
        )

    def whole(name: str, epoch: int) -> Variant:
        return Variant(name, "float16", all16, make.state(mascot), make.train(mascot, epoch))

    def half(name: str) -> Variant:
        state = make.state(mascot)
        pinned_users, user_half = _pin_half(state.users, users, factors, execution)
        pinned_items, item_half = _pin_half(state.items, items, factors, execution)
        state = state._replace(users=pinned_users, items=pinned_items)
        share = (user_half + item_half) / 2
        shares = {"float16": share, "float32": 1 - share}
        return Variant(name, "float16+float32", shares, state, make.train(mascot))

    return {
        "stream": stream,
        "fp16": partial(make.composed, "fp16", "fp16", "nearest", "shuffled", False),
        PLAIN: partial(whole, PLAIN, PLAIN_EPOCH),
        MEASURING: partial(whole, MEASURING, MEASURED_EPOCH),
        HALF: partial(half, HALF),
    }


@partial(jax.jit, static_argnames=("factors", "execution"), donate_argnames=("users", "items"))
def _stream(
    users: Side, items: Side, ratings: Ratings, factors: int, execution: Execution
) -> tuple[Side, Side]:
    rates, counters = jnp.zeros(5, jnp.float32), jnp.array([0, PLAIN_EPOCH], jnp.uint32)
    return kernels.run_stream(
        ratings, users, items, rates, counters, factors=factors, execution=execution
    )


def _pin_half(
    side: Side, grouping: Grouping, factors: int, execution: Execution
) -> tuple[Side, float]:
    """Promote groups, spread from the most-rated to the least, that carry half the traffic."""
    codes, visits = np.array(side.codes), grouping.visits
    promoted = 0
    for group, seen in enumerate(np.cumsum(visits)):
        if promoted + visits[group] / 2 <= seen / 2:
            codes[group] = FLOAT32.code
            promoted += int(visits[group])
    promote = jax.jit(
        partial(kernels.promote, factors=factors, execution=execution), donate_argnums=0
    )
    half = float(visits[codes == FLOAT16.code].sum() / visits.sum())
    return promote(side, jnp.asarray(codes)), half
