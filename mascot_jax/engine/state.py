"""The state of training: one pytree, updated in place by donation."""

from __future__ import annotations

from typing import NamedTuple

import jax

from mascot_jax.tables.table import Side

Memory = dict[str, jax.Array]
"""Small arrays by name."""


class TrainState(NamedTuple):
    """Everything that an epoch changes, and what its randomness is keyed by."""

    users: Side
    items: Side
    epoch: jax.Array
    """uint32 ``()``: epochs done."""
    seed: jax.Array
    """uint32 ``()``."""
    memory: Memory
    """What ``training.word_length`` remembers of earlier epochs; empty but for its methods."""
