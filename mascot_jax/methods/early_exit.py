"""Updates that end at the first component near zero: dynamic pruning, to compare with."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from mascot_jax.engine.state import Memory
from mascot_jax.methods.method import Done, Operands
from mascot_jax.tables.table import Table


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class EarlyExit:
    """Passes the thresholds of both tables, float32 ``(2,)``, to the kernel; zeros end nothing."""

    def init(self, users: Table, items: Table) -> Memory:
        """Return the thresholds before pruning begins."""
        return {"thresholds": jnp.zeros(2, dtype=jnp.float32)}

    def operands(self, memory: Memory, epoch: jax.Array, before: Operands) -> Operands:
        """Set the thresholds."""
        return before._replace(thresholds=memory["thresholds"])

    def update(self, memory: Memory, done: Done) -> tuple[Memory, Done]:
        """Change nothing: thresholds are found once (``methods.pruning``)."""
        return memory, done
