"""Ratings with a real data set's sizes and popularity and a planted truth, made on the device.

Unlike ``mascot_jax.data.synthetic``, pairs may repeat and other devices draw other ratings; but
256 M of them take seconds.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.problems import GROUPS
from mascot_jax.data.synthetic.generator import ITEM_TAIL, SHAPES, USER_TAIL, Shape
from mascot_jax.data.synthetic.pairs import popularity
from mascot_jax.data.synthetic.planted import Truth, plant
from mascot_jax.engine.ratings import Ratings
from mascot_jax.tables.groups import regroup
from mascot_jax.training.problem import Problem

NOISE = 0.8
"""Standard deviation, in stars, before rounding."""
LEAST_ROWS = 200
"""Of a side of a shape that is scaled down."""
LEAST_TESTED = 1000


class Planted(NamedTuple):
    """What a training is given; its ratings are on the device already."""

    problem: Problem
    floor: float
    """About the least RMSE that the test ratings allow: that of the unrounded truth."""


def scaled_shape(name: str, count: int | None) -> Shape:
    """Return a named shape, or one of ``count`` ratings with as many per user and item."""
    shape = SHAPES[name]
    if count is None:
        return shape
    scale = count / shape.ratings
    users, items = (max(LEAST_ROWS, round(n * scale)) for n in (shape.users, shape.items))
    return shape._replace(users=users, items=items, ratings=count)


def make_planted(shape: Shape, seed: int = 0) -> Planted:
    """Draw users and items independently by popularity, and rate them by a truth of low rank."""
    rng = np.random.default_rng(seed)
    truth = jax.tree.map(jnp.asarray, vars(plant(shape.users, shape.items, rng)))
    edges = tuple(
        _edges(rng.permutation(popularity(rows, tail)))
        for rows, tail in ((shape.users, USER_TAIL), (shape.items, ITEM_TAIL))
    )
    key, test_key = jax.random.split(jax.random.key(seed))
    low, high, step = shape.scale.low, shape.scale.high, shape.scale.step
    scale = jnp.array([low, high, step], jnp.float32)
    user, item, rating, _ = _draw(key, edges, truth, scale, shape.ratings)
    users = regroup(_visits(user, shape.users), GROUPS)
    items = regroup(_visits(item, shape.items), GROUPS)
    user_row_of, item_row_of = jnp.asarray(users.row_of), jnp.asarray(items.row_of)
    rows = _relabel(user_row_of, user), _relabel(item_row_of, item)
    ratings = Ratings(*rows, rating, shape.users, shape.items)
    tested = max(shape.ratings // 100, LEAST_TESTED)
    user, item, rating, score = _draw(test_key, edges, truth, scale, tested)
    rows = _relabel(user_row_of, user), _relabel(item_row_of, item)
    test = np.asarray(rows[0]), np.asarray(rows[1]), np.asarray(rating)
    floor = float(jnp.sqrt(_mean(jnp.square(rating - score))))
    return Planted(Problem(ratings, users, items, low, high, test), floor)


def _edges(weights: NDArray[np.float64]) -> jax.Array:
    """Return uint32 ``(rows,)``: a draw below the edge of row r, but of none before, is r."""
    edges = np.cumsum(weights)
    # In 32 bits, a float32 being too coarse for the rarest of a million. The last edge is never
    # reached by rounding, and one draw in 2^32 may be on it: _draw clips.
    return jnp.asarray((edges * ((2**32 - 1) / edges[-1])).astype(np.uint32))


@partial(jax.jit, static_argnames="count")
def _draw(
    key: jax.Array,
    edges: tuple[jax.Array, jax.Array],
    truth: dict[str, jax.Array],
    scale: jax.Array,
    count: int,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Return users and items uint32, ratings and unrounded truths float32, each ``(count,)``."""
    keys = jax.random.split(key, 3)

    def draw_ids(edge: jax.Array, key: jax.Array) -> jax.Array:
        found = jnp.searchsorted(edge, jax.random.bits(key, (count,)), side="right")
        return jnp.minimum(found, edge.size - 1)

    user, item = draw_ids(edges[0], keys[0]), draw_ids(edges[1], keys[1])
    low, high, step = scale
    score: jax.Array = Truth(**truth).score(user, item)  # type: ignore[arg-type, assignment]
    noisy = score + jnp.float32(NOISE) * jax.random.normal(keys[2], (count,))
    rating = jnp.clip(jnp.round(noisy / step) * step, low, high)
    return user.astype(jnp.uint32), item.astype(jnp.uint32), rating, jnp.clip(score, low, high)


def _visits(ids: jax.Array, rows: int) -> NDArray[np.int64]:
    counts = jax.jit(partial(jnp.bincount, length=rows))(ids.astype(jnp.int32))
    return np.asarray(counts).astype(np.int64)


@partial(jax.jit, donate_argnums=1)
def _relabel(row_of: jax.Array, ids: jax.Array) -> jax.Array:
    return row_of[ids]


@jax.jit
def _mean(values: jax.Array) -> jax.Array:
    # In rows: a float32 that has summed 2^24 ones counts no further.
    rows = jnp.pad(values, (0, -values.size % 4096)).reshape(4096, -1).sum(axis=0)
    return rows.sum() / values.size
