"""The interface of a method: its memory, and its steps before and after each epoch."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import jax

from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.ratings import Ratings
from mascot_jax.engine.state import Memory
from mascot_jax.tables.table import Table


class Operands(NamedTuple):
    """Operands of an epoch's kernel besides the step size and regularisation."""

    sample_ratio: jax.Array
    """float32 ``()``: share of the ratings whose updates are summed by group."""
    quantiser: jax.Array
    """float32 ``()``: parameter of a quantised arithmetic (``kernels.run_epoch``)."""
    thresholds: jax.Array | None = None
    """float32 ``(2,)``: magnitudes below which a component of a user's or an item's row ends an
    update; None, and zeros, end none."""


class Judged(NamedTuple):
    """Measurements of one table's g groups in an epoch."""

    q_error: jax.Array
    """float32 ``(g,)``: error by the criterion; NaN in an epoch that does not measure."""
    baseline: jax.Array
    """float32 ``(g,)``: error that later ones are compared with; NaN if there is none yet."""


class Done(NamedTuple):
    """An epoch that has visited its ratings; methods change its tables and add their findings."""

    number: jax.Array
    """uint32 ``()``: the epoch, counted from 0."""
    seed: jax.Array
    ratings: Ratings | None
    """None if they are on disk."""
    regs: tuple[jax.Array, jax.Array]
    """float32 ``()`` each: regularisation of users and of items."""
    execution: Execution
    users: Table
    items: Table
    sums: tuple[jax.Array, jax.Array]
    """Sums over sampled ratings of users and of items, float32 ``(g, k + 4)``."""
    judged: tuple[Judged, Judged] | None = None
    """Measurements of users and of items; None if the methods take none."""
    word_length: jax.Array | None = None
    """int32 ``()``: bits that updates were computed in; None if the methods do not choose them."""


class Method(Protocol):
    """A method: a pytree whose leaves may change without a new compilation."""

    def init(self, users: Table, items: Table) -> Memory:
        """Return the memory before the first epoch."""

    def operands(self, memory: Memory, epoch: jax.Array, before: Operands) -> Operands:
        """Return the operands of an epoch, uint32 ``()``, given those of the previous methods."""

    def update(self, memory: Memory, done: Done) -> tuple[Memory, Done]:
        """Return the memory after an epoch, and the epoch with this method's changes."""
