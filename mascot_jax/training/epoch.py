"""One epoch of training as a pure function (Algorithm 1, lines 3-21)."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.engine import kernels
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.layout import is_laid_out
from mascot_jax.engine.ratings import Ratings
from mascot_jax.engine.state import TrainState
from mascot_jax.methods import methods_of
from mascot_jax.methods.method import Done, Judged, Method, Operands
from mascot_jax.settings import TrainPlan
from mascot_jax.settings.methods import METHODS
from mascot_jax.training.schedule import learning_rates


class EpochReport(NamedTuple):
    """What an epoch found out."""

    learning_rate: jax.Array
    """float32 ``()``: the one it used."""
    user_finite: jax.Array
    """uint8 ``(g,)``: 1 where all factors of a group are finite after the epoch."""
    item_finite: jax.Array
    judged: tuple[Judged, Judged] | None
    """Groups of users and of items, where the method judges them."""
    word_length: jax.Array | None
    """int32 ``()``: the bits that updates were computed in, where the method chooses them."""


class _Scalars(NamedTuple):
    """The settings that may change without a new compilation: operands, not constants."""

    learning_rates: NDArray[np.float32]
    """``(epochs,)``."""
    user_reg: np.float32
    item_reg: np.float32


class _Fixed(NamedTuple):
    """The settings that a compiled epoch is made for."""

    rounding: str
    arithmetic: str
    execution: Execution


def train_epoch(
    state: TrainState, ratings: Ratings, plan: TrainPlan, execution: Execution
) -> tuple[TrainState, EpochReport]:
    """Visit every training rating once, then do what the method does after it.

    Parameters
    ----------
    state
        Donated: its tables are updated in place and must not be used again.
    ratings
        Numbered as they are to be sampled and visited: what ``layout.lay_out`` made of them.
    plan
        How to train.
    execution
        How to run.

    Returns
    -------
    state, report
        The same bits for the same state, ratings and plan if this is ``deterministic``, or with one
        thread. Else, and on a GPU, factors vary from run to run as Hogwild's races do.

    Raises
    ------
    ValueError
        If the ratings name rows that the tables do not have, or are laid out otherwise than the
        plan asks.
    """
    for table, count, name in (
        (state.users, ratings.user_count, "users"),
        (state.items, ratings.item_count, "items"),
    ):
        if len(table) != count:
            raise ValueError(f"ratings are of {count} {name}, the state has {len(table)}")
    if not is_laid_out(ratings, plan):
        raise ValueError("ratings are not laid out as the plan asks: use layout.lay_out")
    scalars = _Scalars(learning_rates(plan), np.float32(plan.user_reg), np.float32(plan.item_reg))
    fixed = _Fixed(plan.rounding, METHODS[plan.method].arithmetic, execution)
    result: tuple[TrainState, EpochReport] = _train_epoch(
        state, ratings, scalars, methods_of(plan), fixed
    )
    return result


@partial(jax.jit, static_argnames="fixed", donate_argnames="state")
def _train_epoch(
    state: TrainState,
    ratings: Ratings,
    scalars: _Scalars,
    methods: dict[str, Method],
    fixed: _Fixed,
) -> tuple[TrainState, EpochReport]:
    rate = jnp.asarray(scalars.learning_rates)[state.epoch]  # of the last one beyond it
    operands = Operands(jnp.float32(0), jnp.float32(0))
    for name, method in methods.items():
        operands = method.operands(state.methods[name], state.epoch, operands)
    regs = jnp.asarray(scalars.user_reg), jnp.asarray(scalars.item_reg)
    users, items, *sums = kernels.run_epoch(
        ratings,
        state.users,
        state.items,
        jnp.stack([rate, *regs, operands.sample_ratio, operands.quantiser]),
        jnp.stack([state.seed, state.epoch]),
        rounding=fixed.rounding,
        arithmetic=fixed.arithmetic,
        execution=fixed.execution,
    )
    done = Done(
        state.epoch, state.seed, ratings, regs, fixed.execution, users, items, (sums[0], sums[1])
    )
    memories = {}
    for name, method in methods.items():
        memories[name], done = method.update(state.methods[name], done)
    # Last: read between two updates in place, the tables would be copied by XLA.
    finite = [
        kernels.check_finite(table, execution=fixed.execution) for table in (done.users, done.items)
    ]
    new = TrainState(done.users, done.items, state.epoch + jnp.uint32(1), state.seed, memories)
    return new, EpochReport(rate, finite[0], finite[1], done.judged, done.word_length)
