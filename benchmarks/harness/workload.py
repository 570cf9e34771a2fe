"""Ratings with a real data set's table sizes and popularity, for timing: values are noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.problems import groupings
from mascot_jax.data.synthetic.generator import ITEM_TAIL, SHAPES, USER_TAIL
from mascot_jax.data.synthetic.pairs import popularity
from mascot_jax.training.problem import Problem, make_problem

MOST_RATINGS = 32_000_000
"""Unless asked for more: what an epoch in shuffled order needs to show. Orders that keep rows in
caches gain from ratings per row, and so from all of them."""


def make_workload(shape: str, seed: int = 0, most: int = MOST_RATINGS) -> Problem:
    """Draw at most so many ratings of a shape; users and items independently by popularity."""
    size = SHAPES[shape]
    rng = np.random.default_rng(seed)
    count = min(size.ratings, most)
    users = _draw(popularity(size.users, USER_TAIL), count, rng)
    items = _draw(popularity(size.items, ITEM_TAIL), count, rng)
    ratings = users, items, rng.integers(1, 6, count, dtype=np.int8).astype(np.float32)
    return make_problem(ratings, *groupings(ratings, size.users, size.items))


def _draw(weights: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.uint32]:
    """Draw ids in proportion to ``weights``, assigned to ids at random."""
    edges = np.cumsum(rng.permutation(weights))
    drawn: NDArray[np.intp] = np.searchsorted(edges, rng.random(count) * edges[-1], side="right")
    return drawn.astype(np.uint32)
