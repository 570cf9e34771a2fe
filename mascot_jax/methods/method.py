"""What a method is: a state, and what it makes of it before and after each epoch."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import jax

from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.ratings import Ratings
from mascot_jax.engine.state import Memory
from mascot_jax.tables.table import Table


class Operands(NamedTuple):
    """What an epoch's kernel is given besides the step size and regularisation."""

    sample_ratio: jax.Array
    """float32 ``()``: share of the ratings whose updates are summed by group."""
    quantiser: jax.Array
    """float32 ``()``: of a quantised arithmetic (``kernels.run_epoch``)."""


class Judged(NamedTuple):
    """What an epoch found out about one table's g groups."""

    q_error: jax.Array
    """float32 ``(g,)``: what the criterion measures; NaN in an epoch that does not."""
    baseline: jax.Array
    """float32 ``(g,)``: what the next ones are compared with; NaN where there is none yet."""


class Done(NamedTuple):
    """An epoch that has visited its ratings; methods change its tables and say what they found."""

    number: jax.Array
    """uint32 ``()``: from 0."""
    seed: jax.Array
    ratings: Ratings
    regs: tuple[jax.Array, jax.Array]
    """float32 ``()``: regularisation of users and of items."""
    execution: Execution
    users: Table
    items: Table
    sums: tuple[jax.Array, jax.Array]
    """Of users and of items: float32 ``(g, k + 4)`` over the sampled ratings."""
    judged: tuple[Judged, Judged] | None = None
    """Users and items."""
    word_length: jax.Array | None = None
    """int32 ``()``: bits that updates were computed in."""


class Method(Protocol):
    """One of what ``methods_of`` returns: a pytree, whose leaves may change without compiling."""

    def init(self, users: Table, items: Table) -> Memory:
        """Return what to remember before the first epoch."""

    def operands(self, memory: Memory, epoch: jax.Array, before: Operands) -> Operands:
        """Return the operands of an epoch, uint32 ``()``, given those of the methods before."""

    def update(self, memory: Memory, done: Done) -> tuple[Memory, Done]:
        """Return what to remember after an epoch, and the epoch with what the method did."""
