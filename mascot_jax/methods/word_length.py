"""When MuPPET and AFP, which the paper compares with, compute in longer words.

Both quantise the computation of an update to fixed point (``ffi/core/kernel_quantised.h``) and
judge the model as a whole. They were published for networks trained in batches; here an epoch takes
the place of their unit of time, and the gradients of a random sample of the training ratings, at
the factors after the epoch, that of a batch.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from mascot_jax.engine.ratings import Ratings
from mascot_jax.engine.state import Memory, TrainState
from mascot_jax.engine.sums import pairwise_sum, rounded
from mascot_jax.settings import AfpSettings, Comparators, MuppetSettings
from mascot_jax.tables.storage import FLOAT32

FULL: Final = 32
"""The word length, in bits, that stands for float32."""

SAMPLED: Final = 1024
"""Ratings whose gradients judge an epoch."""


class Gradients(NamedTuple):
    """Of sampled ratings: e q - lambda_P p and e p - lambda_Q q, float32 ``(SAMPLED, k)``."""

    users: jax.Array
    items: jax.Array


class Policy(Protocol):
    """Chooses the word length of each epoch from the gradients after the one before."""

    def begin(self, factors: int) -> Memory:
        """Return what to remember before the first epoch; ``stage`` is among it."""

    @property
    def bits(self) -> tuple[int, ...]:
        """The word length of each stage."""

    def advance(self, memory: Memory, gradients: Gradients, epoch: jax.Array) -> Memory:
        """Return what to remember after an epoch, counted from 0, with these gradients."""


def policy_of(method: str, constants: Comparators) -> Policy | None:
    """Return a method's policy; None where it has none."""
    policies: dict[str, Policy] = {"muppet": Muppet(constants.muppet), "afp": Afp(constants.afp)}
    return policies.get(method)


def word_length(policy: Policy, memory: Memory) -> jax.Array:
    """Return the bits to compute in, int32 ``()``."""
    return jnp.asarray(policy.bits, dtype=jnp.int32)[memory["stage"]]


class Muppet:
    """MuPPET's: longer words once gradients stop telling epochs apart as well as they did.

    The diversity of the last epochs' gradients, of each side, is the sum of their squared norms
    over the squared norm of their sum. Where the largest so far exceeds the threshold times the
    present one, the word grows, and the largest begins anew.
    """

    def __init__(self, constants: MuppetSettings) -> None:
        self._constants = constants

    @property
    def bits(self) -> tuple[int, ...]:
        """The published words, then float32."""
        return (*self._constants.word_lengths, FULL)

    def begin(self, factors: int) -> Memory:
        """No gradients, and no largest diversity."""
        return {
            "stage": jnp.int32(0),
            "gradients": jnp.zeros((self._constants.window, 2, factors), dtype=jnp.float32),
            "largest": jnp.float32(0),
        }

    def advance(self, memory: Memory, gradients: Gradients, epoch: jax.Array) -> Memory:
        """Judge the last epochs by their gradients."""
        c = self._constants
        sides = jnp.stack([pairwise_sum(side) for side in gradients])
        window = jnp.concatenate([memory["gradients"][1:], sides[None]])  # [window, 2, k]
        diversity = gradient_diversity(window)
        full = epoch + 1 >= c.window
        largest = jnp.where(full, jnp.maximum(memory["largest"], diversity), jnp.float32(0))
        limit = c.alpha + c.beta * jnp.exp(-c.decay * epoch.astype(jnp.float32))
        ends = full & (largest > limit * diversity) & (memory["stage"] + 1 < len(self.bits))
        return {
            "stage": memory["stage"] + ends.astype(jnp.int32),
            "gradients": window,
            "largest": jnp.where(ends, jnp.float32(0), largest),
        }


def gradient_diversity(window: jax.Array) -> jax.Array:
    """Return the mean over both sides of sum |g|^2 / |sum g|^2, float32 ``()``.

    ``window`` is float32 ``(epochs, 2, k)``. From 1 / epochs, where all epochs' gradients are
    alike; 1 where they are orthogonal, more where they cancel.
    """

    def squared_norms(vectors: jax.Array) -> jax.Array:  # over the last axis
        return pairwise_sum(jnp.moveaxis(rounded(jnp.square(vectors)), -1, 0))

    diversities = pairwise_sum(squared_norms(window)) / squared_norms(pairwise_sum(window))
    return pairwise_sum(diversities) / 2


class Afp:
    """AFP's: longer words where quantisation moves the mean magnitude of gradients too far.

    It looks again the sooner, the more they moved and the more the range of gradients did.
    """

    def __init__(self, constants: AfpSettings) -> None:
        self._constants = constants

    @property
    def bits(self) -> tuple[int, ...]:
        """The published words."""
        return self._constants.word_lengths

    def begin(self, factors: int) -> Memory:
        """No range; the first measurement is due."""
        return {"stage": jnp.int32(0), "range": jnp.float32(jnp.nan), "due": jnp.int32(0)}

    def advance(self, memory: Memory, gradients: Gradients, epoch: jax.Array) -> Memory:
        """Measure, if it is due."""
        c, now = self._constants, epoch.astype(jnp.int32)
        values = jnp.concatenate(gradients)
        change = mean_change(values, word_length(self, memory))
        newest, earlier = jnp.abs(values).max(), memory["range"]
        earlier = jnp.where(jnp.isnan(earlier), newest, earlier)
        average = c.alpha * newest + (1 - c.alpha) * earlier
        rate = jnp.maximum(c.delta * jnp.square(change), jnp.abs(average - earlier))
        interval = jnp.clip(jnp.floor(c.beta / rate - c.gamma), 1, 1e6)  # of rate 0: the longest
        longer = (change > c.threshold) & (memory["stage"] + 1 < len(self.bits))
        new = {
            "stage": memory["stage"] + longer.astype(jnp.int32),
            "range": average,
            "due": now + interval.astype(jnp.int32),
        }
        return {name: jnp.where(now >= memory["due"], new[name], memory[name]) for name in memory}


def mean_change(values: jax.Array, bits: jax.Array) -> jax.Array:
    """Return log2(1 + |sum |x| - sum |x^|| / sum |x||), x^ being x in words of so many bits.

    float32 ``()``; ``values`` is float32 ``(n, k)``, a resolution for each row.
    """
    exact = pairwise_sum(pairwise_sum(jnp.abs(values)))
    changed = pairwise_sum(pairwise_sum(jnp.abs(quantise(values, bits))))
    return jnp.log2(1 + jnp.abs(exact - changed) / exact)


def quantise(values: jax.Array, bits: jax.Array) -> jax.Array:
    """Round float32 ``(n, k)`` to words of so many bits, each row with a resolution of its own.

    The resolution is the smallest power of two of which no component takes more than
    2^(bits - 1) - 1. As the kernel does, bit for bit.
    """
    largest = jnp.abs(values).max(axis=-1, keepdims=True)
    most = (jnp.int32(1) << (bits - 1)) - 1
    exponent = jax.lax.bitcast_convert_type(largest, jnp.int32) & 0x7F800000
    step = jax.lax.bitcast_convert_type(exponent - ((bits - 2) << 23), jnp.float32)
    step = jnp.where(largest > most.astype(jnp.float32) * step, 2 * step, step)
    return jnp.where(largest < 2.0**-100, jnp.float32(0), jnp.rint(values / step) * step)


def sample_gradients(
    state: TrainState, ratings: Ratings, regs: tuple[jax.Array, jax.Array], factors: int
) -> Gradients:
    """Return the gradients of random training ratings, other ones after every epoch.

    Rows are in float32; ``regs`` are both sides' regularisation.
    """
    key = jax.random.fold_in(jax.random.key(state.seed), state.epoch)
    drawn = jax.random.bits(key, (SAMPLED,), jnp.uint32) % jnp.uint32(len(ratings))
    p, q = (
        side.tables[FLOAT32.name][rows[drawn], :factors]
        for side, rows in ((state.users, ratings.users), (state.items, ratings.items))
    )
    errors = (ratings.ratings[drawn] - pairwise_sum(rounded(p * q).T))[:, None]
    user_reg, item_reg = regs
    return Gradients(
        rounded(errors * q) - rounded(user_reg * p), rounded(errors * p) - rounded(item_reg * q)
    )
