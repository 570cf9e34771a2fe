"""Ratings with a real data set's table sizes and popularity, for timing: values are noise."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.problems import groupings
from mascot_jax.base.arrays import parts
from mascot_jax.data.synthetic.generator import ITEM_TAIL, SHAPES, USER_TAIL
from mascot_jax.data.synthetic.pairs import popularity
from mascot_jax.training.problem import Problem, make_problem

MOST_RATINGS: Final = 160_000_000
"""Unless asked for more: all of Netflix, and of Yahoo what 24 GiB hold in every order. Fewer
ratings a row flatter orders that do not keep rows in caches."""

SLOTS: Final = 1 << 24
"""Entries of the table that ids are drawn from; a row of Yahoo's size has 17 on average."""


def make_workload(shape: str, seed: int = 0, most: int = MOST_RATINGS) -> Problem:
    """Draw at most so many ratings of a shape; users and items independently by popularity."""
    size = SHAPES[shape]
    rng = np.random.default_rng(seed)
    count = min(size.ratings, most)
    users = _draw(popularity(size.users, USER_TAIL), count, rng)
    items = _draw(popularity(size.items, ITEM_TAIL), count, rng)
    values = np.empty(count, np.float32)
    for part in parts(count):
        values[part] = rng.integers(1, 6, values[part].size, dtype=np.int8)
    ratings = users, items, values
    return make_problem(ratings, *groupings(ratings, size.users, size.items))


def _draw(weights: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.uint32]:
    """Draw ids in proportion to ``weights``, assigned to ids at random.

    One look into a table for each: a search among the sums of the weights takes ten times as long.
    """
    edges = np.cumsum(rng.permutation(weights))
    slots = np.diff(np.rint(edges * (SLOTS / edges[-1])).astype(np.int64), prepend=0)
    table = np.repeat(np.arange(weights.size, dtype=np.uint32), slots)
    drawn = np.empty(count, np.uint32)
    for part in parts(count):
        drawn[part] = table[rng.integers(0, SLOTS, drawn[part].size, dtype=np.uint32)]
    return drawn
