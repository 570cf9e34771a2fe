"""When MuPPET and AFP, which the paper compares with, change to longer words.

Both quantise the computation of an update to fixed point (``ffi/core/update/arithmetic.h``) and
judge the model as a whole. They were published for networks trained in batches. Here an epoch
replaces their unit of time. The gradients of a random sample of the training ratings, at the
factors after the epoch, replace those of a batch.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Final, NamedTuple

import jax
import jax.numpy as jnp

from mascot_jax.engine import kernels
from mascot_jax.engine.state import Memory
from mascot_jax.engine.sums import pairwise_sum, rounded
from mascot_jax.methods.method import Done, Operands
from mascot_jax.settings import AfpSettings, MuppetSettings
from mascot_jax.tables.storage import FLOAT32
from mascot_jax.tables.table import Table

FULL: Final = 32
"""Word length, in bits, that stands for float32."""

SAMPLED: Final = 1024
"""Number of ratings whose gradients judge an epoch."""


class Gradients(NamedTuple):
    """Gradients of sampled ratings, float32 ``(SAMPLED, k)``.

    They are e q - lambda_P p for users and e p - lambda_Q q for items.
    """

    users: jax.Array
    items: jax.Array


class WordLength(abc.ABC):
    """Word length of each epoch, chosen from the gradients after the epoch before."""

    @property
    @abc.abstractmethod
    def bits(self) -> tuple[int, ...]:
        """Word length of each stage, in bits."""

    @abc.abstractmethod
    def begin(self, factors: int) -> Memory:
        """Return the memory before the first epoch, which includes ``stage``."""

    @abc.abstractmethod
    def advance(self, memory: Memory, gradients: Gradients, epoch: jax.Array) -> Memory:
        """Return the memory after an epoch, counted from 0, with these gradients."""

    def init(self, users: Table, items: Table) -> Memory:
        """Return the memory before the first epoch."""
        return self.begin(users.factors)

    def operands(self, memory: Memory, epoch: jax.Array, before: Operands) -> Operands:
        """Set the word length as the quantiser of the ``fixed`` arithmetic."""
        return before._replace(quantiser=self.chosen(memory).astype(jnp.float32))

    def update(self, memory: Memory, done: Done) -> tuple[Memory, Done]:
        """Judge the epoch by gradients of a sample, and add the word length that it used."""
        bits = self.chosen(memory)
        memory = self.advance(memory, sample_gradients(done), done.number)
        return memory, done._replace(word_length=bits)

    def chosen(self, memory: Memory) -> jax.Array:
        """Return the word length to compute in, in bits, int32 ``()``."""
        return jnp.asarray(self.bits, dtype=jnp.int32)[memory["stage"]]


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Muppet(WordLength):
    """MuPPET: longer words once the diversity of gradients between epochs has fallen.

    A side's diversity over the last epochs is the sum of the gradients' squared norms over the
    squared norm of their sum. When the largest so far exceeds the threshold times the present one,
    the word grows, and the largest is reset.
    """

    constants: MuppetSettings

    @property
    def bits(self) -> tuple[int, ...]:
        """Published word lengths, then float32."""
        return (*self.constants.word_lengths, FULL)

    def begin(self, factors: int) -> Memory:
        """Return a memory with no gradients and no largest diversity."""
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

    ``window`` is float32 ``(epochs, 2, k)``. The result is 1 / epochs if the gradients of all
    epochs are equal, 1 if they are orthogonal, and more if they cancel.
    """

    def squared_norms(vectors: jax.Array) -> jax.Array:  # over the last axis
        return pairwise_sum(jnp.moveaxis(rounded(jnp.square(vectors)), -1, 0))

    diversities = pairwise_sum(squared_norms(window)) / squared_norms(pairwise_sum(window))
    return pairwise_sum(diversities) / 2


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Afp(WordLength):
    """AFP: longer words if quantisation changes the mean magnitude of gradients too much.

    The more this magnitude and the range of gradients change, the sooner AFP measures again.
    """

    constants: AfpSettings

    @property
    def bits(self) -> tuple[int, ...]:
        """Published word lengths."""
        return self.constants.word_lengths

    def begin(self, factors: int) -> Memory:
        """Return a memory without a range, in which the first measurement is due."""
        return {"stage": jnp.int32(0), "range": jnp.float32(jnp.nan), "due": jnp.int32(0)}

    def advance(self, memory: Memory, gradients: Gradients, epoch: jax.Array) -> Memory:
        """Measure, if a measurement is due."""
        c, now = self.constants, epoch.astype(jnp.int32)
        values = jnp.concatenate(gradients)
        change = mean_change(values, self.chosen(memory))
        newest, earlier = jnp.abs(values).max(), memory["range"]
        earlier = jnp.where(jnp.isnan(earlier), newest, earlier)
        average = c.alpha * newest + (1 - c.alpha) * earlier
        rate = jnp.maximum(c.delta * jnp.square(change), jnp.abs(average - earlier))
        interval = jnp.clip(jnp.floor(c.beta / rate - c.gamma), 1, 1e6)  # rate 0: the longest
        longer = (change > c.threshold) & (memory["stage"] + 1 < len(self.bits))
        new = {
            "stage": memory["stage"] + longer.astype(jnp.int32),
            "range": average,
            "due": now + interval.astype(jnp.int32),
        }
        return {name: jnp.where(now >= memory["due"], new[name], memory[name]) for name in memory}


def mean_change(values: jax.Array, bits: jax.Array) -> jax.Array:
    """Return log2(1 + |sum |x| - sum |x^|| / sum |x|), where x^ is x in words of ``bits`` bits.

    The result is float32 ``()``; ``values`` is float32 ``(n, k)``, with a resolution for each row.
    """
    exact = pairwise_sum(pairwise_sum(jnp.abs(values)))
    changed = pairwise_sum(pairwise_sum(jnp.abs(quantise(values, bits))))
    return jnp.log2(1 + jnp.abs(exact - changed) / exact)


def quantise(values: jax.Array, bits: jax.Array) -> jax.Array:
    """Round float32 ``(n, k)`` to words of ``bits`` bits, bit for bit as the kernel does.

    Each row has its own resolution: the smallest power of two in whose units no component exceeds
    2^(bits - 1) - 1.
    """
    largest = jnp.abs(values).max(axis=-1, keepdims=True)
    most = (jnp.int32(1) << (bits - 1)) - 1
    exponent = jax.lax.bitcast_convert_type(largest, jnp.int32) & 0x7F800000
    step = jax.lax.bitcast_convert_type(exponent - ((bits - 2) << 23), jnp.float32)
    step = jnp.where(largest > most.astype(jnp.float32) * step, 2 * step, step)
    return jnp.where(largest < 2.0**-100, jnp.float32(0), jnp.rint(values / step) * step)


def sample_gradients(done: Done) -> Gradients:
    """Return the gradients of random training ratings, drawn anew after every epoch.

    Rows are in float32.
    """
    key = jax.random.fold_in(jax.random.key(done.seed), done.number)
    ratings = done.ratings
    assert ratings is not None  # settings.run refuses these methods for ratings on disk
    drawn = jax.random.bits(key, (SAMPLED,), jnp.uint32) % kernels.extent(ratings)[0]
    p, q = (
        table.stored[FLOAT32.name][jnp.asarray(rows)[drawn], : table.factors]
        for table, rows in ((done.users, ratings.users), (done.items, ratings.items))
    )
    errors = (jnp.asarray(ratings.ratings)[drawn] - pairwise_sum(rounded(p * q).T))[:, None]
    user_reg, item_reg = done.regs
    return Gradients(
        rounded(errors * q) - rounded(user_reg * p), rounded(errors * p) - rounded(item_reg * q)
    )
