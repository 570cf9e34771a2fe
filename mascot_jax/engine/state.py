"""The training state: one pytree, updated in place by donation."""

from __future__ import annotations

from typing import NamedTuple

import jax

from mascot_jax.tables.table import Table

Memory = dict[str, jax.Array]
"""State of a method between epochs: small arrays by name."""


class TrainState(NamedTuple):
    """Everything that an epoch changes, and the seed of its random numbers."""

    users: Table
    items: Table
    epoch: jax.Array
    """uint32 ``()``: number of epochs done."""
    seed: jax.Array
    """uint32 ``()``."""
    methods: dict[str, Memory]
    """Memory of each method by its name (``mascot_jax.methods``); empty if there is none."""
