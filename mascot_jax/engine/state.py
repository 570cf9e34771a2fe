"""The state of training: one pytree, updated in place by donation."""

from __future__ import annotations

from typing import NamedTuple

import jax

from mascot_jax.tables.table import Table

Memory = dict[str, jax.Array]
"""What a method remembers from epoch to epoch: small arrays by name."""


class TrainState(NamedTuple):
    """Everything that an epoch changes, and what its randomness is keyed by."""

    users: Table
    items: Table
    epoch: jax.Array
    """uint32 ``()``: epochs done."""
    seed: jax.Array
    """uint32 ``()``."""
    methods: dict[str, Memory]
    """Of each method by its name (``mascot_jax.methods``); empty where there is none."""
