"""When MuPPET and AFP, which the paper compares with, compute in longer words.

Both quantise the computation of an update to fixed point (``ffi/core/kernel_quantised.h``) and
judge the model as a whole. They were published for networks trained in batches; here an epoch takes
the place of their unit of time, and the gradients of a random sample of the training ratings, at
the factors after the epoch, that of a batch.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Final, NamedTuple

import jax
import jax.numpy as jnp

from mascot_jax.engine.state import Memory
from mascot_jax.engine.sums import pairwise_sum, rounded
from mascot_jax.methods.method import Done, Operands
from mascot_jax.settings import AfpSettings, MuppetSettings
from mascot_jax.tables.storage import FLOAT32
from mascot_jax.tables.table import Table

FULL: Final = 32
"""The word length, in bits, that stands for float32."""

SAMPLED: Final = 1024
"""Ratings whose gradients judge an epoch."""


class Gradients(NamedTuple):
    """Of sampled ratings: e q - lambda_P p and e p - lambda_Q q, float32 ``(SAMPLED, k)``."""

    users: jax.Array
    items: jax.Array


class WordLength(abc.ABC):
    """Chooses the word length of each epoch from the gradients after the one before."""

    @property
    @abc.abstractmethod
    def bits(self) -> tuple[int, ...]:
        """The word length of each stage."""

    @abc.abstractmethod
    def begin(self, factors: int) -> Memory:
        """Return what to remember before the first epoch; ``stage`` is among it."""

    @abc.abstractmethod
    def advance(self, memory: Memory, gradients: Gradients, epoch: jax.Array) -> Memory:
        """Return what to remember after an epoch, counted from 0, with these gradients."""

    def init(self, users: Table, items: Table) -> Memory:
        """Return what to remember before the first epoch."""
        return self.begin(users.factors)

    def operands(self, memory: Memory, epoch: jax.Array, before: Operands) -> Operands:
        """Return the bits as the quantiser of the arithmetic ``fixed``."""
        return before._replace(quantiser=self.chosen(memory).astype(jnp.float32))

    def update(self, memory: Memory, done: Done) -> tuple[Memory, Done]:
        """Judge the epoch by gradients of a sample."""
        bits = self.chosen(memory)
        memory = self.advance(memory, sample_gradients(done), done.number)
        return memory, done._replace(word_length=bits)

    def chosen(self, memory: Memory) -> jax.Array:
        """Return the bits to compute in, int32 ``()``."""
        return jnp.asarray(self.bits, dtype=jnp.int32)[memory["stage"]]


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Muppet(WordLength):
    """MuPPET's: longer words once gradients stop telling epochs apart as well as they did.

    The diversity of the last epochs' gradients, of each side, is the sum of their squared norms
    over the squared norm of their sum. Where the largest so far exceeds the threshold times the
    present one, the word grows, and the largest begins anew.
    """

    constants: MuppetSettings

    @property
    def bits(self) -> tuple[int, ...]:
        """The published words, then float32."""
        return (*self.constants.word_lengths, FULL)

    def begin(self, factors: int) -> Memory:
        """No gradients, and no largest diversity."""
        return {
            "stage": jnp.int32(0),
            "gradients": jnp.zeros((self.constants.window, 2, factors), dtype=jnp.float32),
            "largest": jnp.float32(0),
        }

    def advance(self, memory: Memory, gradients: Gradients, epoch: jax.Array) -> Memory:
        """Judge the last epochs by their gradients."""
        c = self.constants
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


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Afp(WordLength):
    """AFP's: longer words where quantisation moves the mean magnitude of gradients too far.

    It looks again the sooner, the more they moved and the more the range of gradients did.
    """

    constants: AfpSettings

    @property
    def bits(self) -> tuple[int, ...]:
        """The published words."""
        return self.constants.word_lengths

    def begin(self, factors: int) -> Memory:
        """No range; the first measurement is due."""
        return {"stage": jnp.int32(0), "range": jnp.float32(jnp.nan), "due": jnp.int32(0)}

    def advance(self, memory: Memory, gradients: Gradients, epoch: jax.Array) -> Memory:
        """Measure, if it is due."""
        c, now = self.constants, epoch.astype(jnp.int32)
        values = jnp.concatenate(gradients)
        change = mean_change(values, self.chosen(memory))
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


def sample_gradients(done: Done) -> Gradients:
    """Return the gradients of random training ratings, other ones after every epoch.

    Rows are in float32.
    """
    key = jax.random.fold_in(jax.random.key(done.seed), done.number)
    ratings = done.ratings
    drawn = jax.random.bits(key, (SAMPLED,), jnp.uint32) % jnp.uint32(len(ratings))
    p, q = (
        table.stored[FLOAT32.name][jnp.asarray(rows)[drawn], : table.factors]
        for table, rows in ((done.users, ratings.users), (done.items, ratings.items))
    )
    errors = (jnp.asarray(ratings.ratings)[drawn] - pairwise_sum(rounded(p * q).T))[:, None]
    user_reg, item_reg = done.regs
    return Gradients(
        rounded(errors * q) - rounded(user_reg * p), rounded(errors * p) - rounded(item_reg * q)
    )
