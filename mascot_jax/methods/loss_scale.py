"""MPT's loss scale, the quantiser of the ``mixed`` arithmetic."""

from __future__ import annotations

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp

from mascot_jax.engine.state import Memory
from mascot_jax.methods.method import Done, Operands
from mascot_jax.tables.table import Table


@partial(jax.tree_util.register_dataclass, data_fields=["scale"], meta_fields=[])
@dataclasses.dataclass(frozen=True)
class LossScale:
    """Loss scale: errors are multiplied by it before they become float16, and gradients divided."""

    scale: float

    def init(self, users: Table, items: Table) -> Memory:
        """Return an empty memory."""
        return {}

    def operands(self, memory: Memory, epoch: jax.Array, before: Operands) -> Operands:
        """Set the scale as the quantiser."""
        return before._replace(quantiser=jnp.float32(self.scale))

    def update(self, memory: Memory, done: Done) -> tuple[Memory, Done]:
        """Change nothing."""
        return memory, done
