"""The state of training: one pytree, updated in place by donation."""

from __future__ import annotations

from typing import NamedTuple

import jax

from mascot_jax.engine.storage import Tables

Memory = dict[str, jax.Array]
"""Small arrays by name."""


class Side(NamedTuple):
    """The users, or the items: g groups over the rows of the tables."""

    tables: Tables
    """Factor tables ``(rows, stride)`` by storage name.

    A row lives in the one its group's code names; elsewhere it is never touched.
    """
    starts: jax.Array
    """uint32 ``(g + 1,)``: group j holds rows ``starts[j]`` to ``starts[j + 1] - 1``."""
    codes: jax.Array
    """uint8 ``(g,)``: the storage of each group's rows (``Storage.code``)."""
    baseline: jax.Array
    """float32 ``(g,)``: the first error measured of each group; NaN until then."""


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
