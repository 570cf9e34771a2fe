"""One epoch of training as a pure function (Algorithm 1, lines 3-21)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.engine import kernels
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.layout import is_laid_out
from mascot_jax.engine.padding import padded_size
from mascot_jax.engine.ratings import Ratings
from mascot_jax.engine.state import TrainState
from mascot_jax.methods import methods_of
from mascot_jax.methods.method import Done, Judged, Method, Operands
from mascot_jax.settings import TrainPlan
from mascot_jax.settings.methods import METHODS
from mascot_jax.tables.table import Table
from mascot_jax.training.schedule import learning_rates

LEAST_EPOCHS: Final = 64
"""Trainings of so many epochs or fewer run one program."""


Visited = tuple[Table, Table, jax.Array, jax.Array]
"""Tables of users and of items after an epoch's visits, and the sums of their groups."""


class EpochReport(NamedTuple):
    """Findings of an epoch."""

    learning_rate: jax.Array
    """float32 ``()``: step size of the epoch."""
    user_finite: jax.Array
    """uint8 ``(g,)``: 1 where all factors of a group are finite after the epoch."""
    item_finite: jax.Array
    judged: tuple[Judged, Judged] | None
    """Measurements of user and item groups; None if the method takes none."""
    word_length: jax.Array | None
    """int32 ``()``: bits that updates were computed in; None if the method does not choose them."""


class Scalars(NamedTuple):
    """Settings that are operands, and so may change without a new compilation."""

    learning_rates: NDArray[np.float32]
    """``(epochs or more,)``."""
    user_reg: np.float32
    item_reg: np.float32


class Fixed(NamedTuple):
    """Settings that an epoch is compiled for."""

    rounding: str
    arithmetic: str
    execution: Execution


def train_epoch(
    state: TrainState, ratings: Ratings, plan: TrainPlan, execution: Execution
) -> tuple[TrainState, EpochReport]:
    """Visit every training rating once, then apply the methods' updates.

    Parameters
    ----------
    state
        Donated: its tables are updated in place; do not use it again.
    ratings
        Ratings that ``layout.lay_out`` has numbered for this plan; sampling and visiting go by
        number.
    plan
        Settings of the training.
    execution
        Execution options.

    Returns
    -------
    state, report
        Bit-identical for the same state, ratings and plan if the plan is ``deterministic``, or with
        one thread. Otherwise, and on a GPU, factors vary from run to run because of Hogwild's
        races.

    Raises
    ------
    ValueError
        If the ratings and the tables differ in their numbers of users or items, or the ratings are
        not laid out for the plan.
    """
    for table, count, name in (
        (state.users, ratings.user_count, "users"),
        (state.items, ratings.item_count, "items"),
    ):
        if len(table) != count:
            raise ValueError(f"ratings are of {count} {name}, the state has {len(table)}")
    if not is_laid_out(ratings, plan):
        raise ValueError("ratings are not laid out as the plan asks: use layout.lay_out")
    scalars, fixed = operands_of(plan, execution)
    # The numbers of rows are checked; a program must not be compiled for them.
    ratings = dataclasses.replace(ratings, user_count=0, item_count=0)
    result: tuple[TrainState, EpochReport] = _train_epoch(
        state, ratings, scalars, methods_of(plan), fixed
    )
    return result


def operands_of(plan: TrainPlan, execution: Execution) -> tuple[Scalars, Fixed]:
    """Return a plan's settings as ``advance`` takes them."""
    scalars = Scalars(_padded_rates(plan), np.float32(plan.user_reg), np.float32(plan.item_reg))
    return scalars, Fixed(plan.rounding, METHODS[plan.method].arithmetic, execution)


def _rates(rate: jax.Array, regs: tuple[jax.Array, jax.Array], operands: Operands) -> jax.Array:
    """Return the rates of ``kernels.run_epoch``."""
    rates = jnp.stack([rate, *regs, operands.sample_ratio, operands.quantiser])
    if operands.thresholds is None:
        return rates
    return jnp.concatenate([rates, operands.thresholds])


@lru_cache(maxsize=16)
def _padded_rates(plan: TrainPlan) -> NDArray[np.float32]:
    """Return the step sizes, the last one again and again behind them."""
    rates = learning_rates(plan)
    return np.pad(rates, (0, padded_size(len(rates), LEAST_EPOCHS) - len(rates)), "edge")


def advance(
    state: TrainState,
    ratings: Ratings,
    scalars: Scalars,
    methods: dict[str, Method],
    fixed: Fixed,
    visit: Callable[..., Visited] = kernels.run_epoch,
) -> tuple[TrainState, EpochReport]:
    """Return the state after an epoch, as a function that JAX can trace.

    ``visit`` has the parameters and results of ``kernels.run_epoch``.
    """
    visited = visit(
        ratings,
        state.users,
        state.items,
        *operands_of_visits(state, scalars, methods),
        rounding=fixed.rounding,
        arithmetic=fixed.arithmetic,
        execution=fixed.execution,
    )
    return settle(state, ratings, visited, scalars, methods, fixed)


def operands_of_visits(
    state: TrainState, scalars: Scalars, methods: dict[str, Method]
) -> tuple[jax.Array, jax.Array]:
    """Return the rates and counters of ``kernels.run_epoch`` for a state's next epoch."""
    operands = Operands(jnp.float32(0), jnp.float32(0))
    for name, method in methods.items():
        operands = method.operands(state.methods[name], state.epoch, operands)
    rates = _rates(_rate(state, scalars), _regs(scalars), operands)
    return rates, jnp.stack([state.seed, state.epoch])


def settle(
    state: TrainState,
    ratings: Ratings | None,
    visited: Visited,
    scalars: Scalars,
    methods: dict[str, Method],
    fixed: Fixed,
) -> tuple[TrainState, EpochReport]:
    """Return the state after an epoch whose ratings are visited: methods do their part.

    Of ``state``, the tables are those before the epoch and not looked at. ``ratings`` are None if
    they are on disk.
    """
    users, items, *sums = visited
    regs = _regs(scalars)
    done = Done(
        state.epoch, state.seed, ratings, regs, fixed.execution, users, items, (sums[0], sums[1])
    )
    memories = {}
    for name, method in methods.items():
        memories[name], done = method.update(state.methods[name], done)
    # Last: XLA would copy tables that are read between two updates in place.
    finite = [
        kernels.check_finite(table, execution=fixed.execution) for table in (done.users, done.items)
    ]
    new = TrainState(done.users, done.items, state.epoch + jnp.uint32(1), state.seed, memories)
    rate = _rate(state, scalars)
    return new, EpochReport(rate, finite[0], finite[1], done.judged, done.word_length)


def _rate(state: TrainState, scalars: Scalars) -> jax.Array:
    rate: jax.Array = jnp.asarray(scalars.learning_rates)[state.epoch]  # clamped to the last one's
    return rate


def _regs(scalars: Scalars) -> tuple[jax.Array, jax.Array]:
    return jnp.asarray(scalars.user_reg), jnp.asarray(scalars.item_reg)


_train_epoch = partial(jax.jit, static_argnames="fixed", donate_argnames="state")(advance)
