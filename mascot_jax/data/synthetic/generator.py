"""Generate ratings from a known truth, with the size and popularity of a real data set.

The lowest possible RMSE (the floor) is known. The same settings give the same ratings on every
machine, as far as NumPy's generators do. No (user, item) pair occurs twice, whatever the size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mascot_jax.data.raw import RawRatings
from mascot_jax.data.synthetic.baseline import bias_rmse
from mascot_jax.data.synthetic.pairs import apportion, draw_pairs, popularity
from mascot_jax.data.synthetic.planted import Scale, Truth, plant
from mascot_jax.errors import SettingsError
from mascot_jax.settings import DataSettings

WHOLE_STARS = Scale(low=1.0, high=5.0, step=1.0)
HALF_STARS = Scale(low=0.5, high=5.0, step=0.5)


class Shape(NamedTuple):
    """Size and rating scale of a data set."""

    users: int
    items: int
    ratings: int
    scale: Scale


SHAPES = {
    "ml-1m": Shape(6_040, 3_706, 1_000_209, WHOLE_STARS),
    "ml-10m": Shape(69_878, 10_677, 10_000_035, HALF_STARS),
    "ml-25m": Shape(162_541, 59_047, 24_997_208, HALF_STARS),
    "netflix": Shape(480_189, 17_770, 100_480_507, WHOLE_STARS),
    "yahoo": Shape(1_000_990, 624_961, 256_804_235, HALF_STARS),
}
"""ml-1m, and the sizes of the paper's Table I."""

_COUNTS, _PAIRS, _TRUTH, _NOISE = range(4)
USER_TAIL, ITEM_TAIL = 0, 2
"""``power`` of ``popularity``: how fast the tail falls. The users' tail is a plain power law, as
real data sets require a minimum number of ratings per user."""


def generate(settings: DataSettings) -> RawRatings:
    """Generate the ratings that ``settings`` describe.

    Every user and every item occurs at least once if there are enough ratings. Ids start at 1 and
    do not depend on popularity. Rows are ordered by user, then item.

    Parameters
    ----------
    settings
        ``shape``, ``users``, ``items``, ``ratings``, ``noise`` and ``seed`` are used.

    Returns
    -------
    RawRatings
        Int64 ids, Float32 ratings, and the facts ``name``, ``source``, ``low``, ``high``,
        ``rmse_floor`` (RMSE, over these ratings, of their expectations given the truth) and
        ``rmse_bias_only`` (RMSE of the best user and item biases); in stars, to 6 decimals.

    Raises
    ------
    SettingsError
        There are more ratings than (user, item) pairs.
    """
    import polars as pl  # here: ``SHAPES`` does not need the extra ``data``

    shape = _resolve(settings)
    user = np.empty(shape.ratings, dtype=np.uint32)
    item = np.empty(shape.ratings, dtype=np.uint32)
    rating = np.empty(shape.ratings, dtype=np.float32)
    truth = plant(shape.users, shape.items, _generator(settings.seed, _TRUTH))
    squares, start = 0.0, 0
    for number, (users, items) in enumerate(_pairs(shape, settings.seed)):
        rng = _generator(settings.seed, _NOISE, number)
        part = slice(start, start + users.size)
        user[part], item[part] = users, items
        rating[part], missed = _rate(truth, users, items, shape.scale, settings.noise, rng)
        squares += missed
        start += users.size
    facts = {
        "name": "synthetic",
        "source": f"generated: shape {settings.shape}, seed {settings.seed}",
        "low": shape.scale.low,
        "high": shape.scale.high,
        "rmse_floor": round(math.sqrt(squares / shape.ratings), 6),
        "rmse_bias_only": round(bias_rmse(user, item, rating, shape.users, shape.items), 6),
    }
    columns = {"user": _ids(user), "item": _ids(item), "rating": rating}
    return RawRatings(frame=pl.DataFrame(columns), facts=facts)


def _resolve(settings: DataSettings) -> Shape:
    """Return the named shape, with the sizes that the settings override."""
    named = SHAPES[settings.shape]
    shape = named._replace(
        users=settings.users or named.users,
        items=settings.items or named.items,
        ratings=settings.ratings or named.ratings,
    )
    if shape.ratings > shape.users * shape.items:
        raise SettingsError(
            f"data.ratings is {shape.ratings}, but {shape.users} users and {shape.items} items "
            f"make only {shape.users * shape.items} different pairs: set data.ratings to at most "
            "that, or raise data.users or data.items"
        )
    return shape


def _generator(seed: int, *stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=stream)))


def _pairs(
    shape: Shape, seed: int
) -> Iterator[tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]]:
    """Draw the pairs in chunks; popularity is assigned to the ids at random."""
    rng = _generator(seed, _COUNTS)
    counts = apportion(popularity(shape.users, USER_TAIL), shape.ratings, shape.items)
    weights = popularity(shape.items, ITEM_TAIL)
    rng.shuffle(counts)
    rng.shuffle(weights)
    return draw_pairs(counts, weights, np.random.SeedSequence(seed, spawn_key=(_PAIRS,)))


def _rate(
    truth: Truth,
    user: npt.NDArray[np.uint32],
    item: npt.NDArray[np.uint32],
    scale: Scale,
    noise: float,
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.float32], float]:
    """Draw the ratings of one chunk; also return the summed squared error of their expectations."""
    score = truth.score(user, item)
    drawn = rng.standard_normal(user.size, dtype=np.float32)
    rating = scale.quantise(score + np.float32(noise) * drawn)
    error = rating - scale.expect(score, noise)
    return rating, float(np.sum(error * error))


def _ids(index: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    ids = index.astype(np.int64)
    ids += 1
    return ids
