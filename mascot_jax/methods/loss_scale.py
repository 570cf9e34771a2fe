"""MPT's loss scale, the quantiser of the arithmetic ``mixed``."""

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
    """Errors are multiplied by ``scale`` before they become float16, and gradients divided."""

    scale: float

    def init(self, users: Table, items: Table) -> Memory:
        """Remember nothing."""
        return {}

    def operands(self, memory: Memory, epoch: jax.Array, before: Operands) -> Operands:
        """Return the scale as the quantiser."""
        return before._replace(quantiser=jnp.float32(self.scale))

    def update(self, memory: Memory, done: Done) -> tuple[Memory, Done]:
        """Change nothing."""
        return memory, done
