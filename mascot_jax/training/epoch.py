"""One epoch of training as a pure function (Algorithm 1, lines 3-21)."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from numpy.typing import NDArray

from mascot_jax.engine import kernels
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.layout import is_laid_out
from mascot_jax.engine.ratings import Ratings
from mascot_jax.engine.state import TrainState
from mascot_jax.methods import switching
from mascot_jax.methods.word_length import policy_of, sample_gradients, word_length
from mascot_jax.settings import Comparators, TrainSettings
from mascot_jax.settings.methods import METHODS, Switching
from mascot_jax.tables.table import Side
from mascot_jax.training.schedule import learning_rates


class SideReport(NamedTuple):
    """What an epoch found out about one side's g groups."""

    q_error: jax.Array
    """float32 ``(g,)``: what the criterion measures; NaN in an epoch that does not."""
    finite: jax.Array
    """uint8 ``(g,)``: 1 where all factors are finite after the epoch."""


class EpochReport(NamedTuple):
    """What an epoch found out."""

    learning_rate: jax.Array
    """float32 ``()``: the one it used."""
    users: SideReport
    items: SideReport
    word_length: jax.Array | None
    """int32 ``()``: the bits that updates were computed in, where the method chooses them."""


class _Scalars(NamedTuple):
    """The settings that may change without a new compilation: operands, not constants."""

    learning_rates: NDArray[np.float32]
    """``(epochs,)``."""
    user_reg: np.float32
    item_reg: np.float32
    sample_ratio: np.float32
    threshold: np.float32
    warmup: np.int32
    period: np.int32
    epochs: np.int32


class _Fixed(NamedTuple):
    """The settings that a compiled epoch is made for."""

    factors: int
    unit: Switching
    criterion: str
    rounding: str
    method: str
    comparators: Comparators


def train_epoch(
    state: TrainState, ratings: Ratings, settings: TrainSettings, execution: Execution
) -> tuple[TrainState, EpochReport]:
    """Visit every training rating once, then measure q-error and promote groups where it is time.

    Parameters
    ----------
    state
        Donated: its tables are updated in place and must not be used again.
    ratings
        Numbered as they are to be sampled and visited: what ``layout.lay_out`` made of them.
    settings
        How to train.
    execution
        How to run.

    Returns
    -------
    state, report
        The same bits for the same state, ratings and settings if these are ``deterministic``, or
        with one thread. Else, and on a GPU, factors vary from run to run as Hogwild's races do.

    Raises
    ------
    ValueError
        If the ratings name rows that the tables do not have, or are laid out otherwise than the
        settings ask.
    """
    for side, count, name in (
        (state.users, ratings.user_count, "users"),
        (state.items, ratings.item_count, "items"),
    ):
        for table in side.tables.values():
            if table.shape[0] != count:
                raise ValueError(f"ratings are of {count} {name}, the state has {table.shape[0]}")
    s = settings.resolved()
    if not is_laid_out(ratings, s):
        raise ValueError("ratings are not laid out as the settings ask: use layout.lay_out")
    result: tuple[TrainState, EpochReport] = _train_epoch(
        state, ratings, _scalars(s), _fixed(s), execution
    )
    return result


def _fixed(s: TrainSettings) -> _Fixed:
    criterion = s.criterion or switching.GRADIENT_DIVERSITY  # null where nothing is measured
    rounding = s.rounding or "nearest"
    return _Fixed(s.factors, s.switching, criterion, rounding, s.method, s.comparators)


def _scalars(s: TrainSettings) -> _Scalars:
    """Give the numbers of resolved settings the types that the kernel takes.

    What only switching needs is null for a method that never switches; its value is then not used.
    """
    return _Scalars(
        learning_rates(s),
        np.float32(s.user_reg),
        np.float32(s.item_reg),
        np.float32(s.sample_ratio or 0),
        np.float32(s.threshold or 0),
        np.int32(s.warmup or 0),
        np.int32(s.period or 1),
        np.int32(s.epochs),
    )


@partial(jax.jit, static_argnames=("fixed", "execution"), donate_argnames="state")
def _train_epoch(
    state: TrainState,
    ratings: Ratings,
    scalars: _Scalars,
    fixed: _Fixed,
    execution: Execution,
) -> tuple[TrainState, EpochReport]:
    rate = jnp.asarray(scalars.learning_rates)[state.epoch]  # of the last one beyond it
    measured = measures(state.epoch, scalars.warmup, scalars.period, scalars.epochs)
    measured &= fixed.unit is not Switching.NONE
    sample_ratio = jnp.where(measured, scalars.sample_ratio, jnp.float32(0))
    policy = policy_of(fixed.method, fixed.comparators)
    bits = None if policy is None else word_length(policy, state.memory)
    # What else than a word length the kernel may need.
    loss_scale = jnp.float32(fixed.comparators.mpt.loss_scale)
    quantiser = loss_scale if bits is None else bits.astype(jnp.float32)
    users, items, user_sums, item_sums = kernels.run_epoch(
        ratings,
        state.users,
        state.items,
        jnp.stack([rate, scalars.user_reg, scalars.item_reg, sample_ratio, quantiser]),
        jnp.stack([state.seed, state.epoch]),
        factors=fixed.factors,
        rounding=fixed.rounding,
        arithmetic=METHODS[fixed.method].arithmetic,
        execution=execution,
    )

    def finish(side: Side, raw_sums: jax.Array) -> tuple[Side, SideReport]:
        sums = switching.unpack_sums(raw_sums)
        sums = switching.pool(sums) if fixed.unit is Switching.SIDE else sums
        error = switching.measure(sums, fixed.criterion)
        if fixed.unit is not Switching.NONE:
            new = switching.decide(
                side.codes,
                side.baseline,
                error,
                sums.samples,
                scalars.threshold,
                fixed.criterion,
            )
            side = kernels.promote(side, new.codes, factors=fixed.factors, execution=execution)
            side = side._replace(baseline=new.baseline)
        # Last: read between two updates in place, the tables would be copied by XLA.
        finite = kernels.check_finite(side, factors=fixed.factors, execution=execution)
        return side, SideReport(error, finite)

    users, user_report = finish(users, user_sums)
    items, item_report = finish(items, item_sums)
    memory = state.memory
    if policy is not None:
        now = state._replace(users=users, items=items)
        regs = jnp.asarray(scalars.user_reg), jnp.asarray(scalars.item_reg)
        gradients = sample_gradients(now, ratings, regs, fixed.factors)
        memory = policy.advance(memory, gradients, state.epoch)
    state = TrainState(users, items, state.epoch + jnp.uint32(1), state.seed, memory)
    return state, EpochReport(rate, user_report, item_report, bits)


def measures(
    epoch: jax.Array, warmup: ArrayLike, period: ArrayLike, epochs: ArrayLike
) -> jax.Array:
    """Return whether an epoch counted from 0 measures q-error.

    ``warmup`` and every ``period`` from there do, but never the last one, whose decisions nothing
    would use.
    """
    t = epoch.astype(jnp.int32)
    return (t >= warmup) & ((t - warmup) % period == 0) & (t + 1 < epochs)
