"""The error of a state on held-out ratings, computed on the device of the factors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts
from mascot_jax.base.biases import Biases
from mascot_jax.base.metrics import Baselines, ErrorTotals
from mascot_jax.engine import kernels, prediction
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.padding import LEAST_RATINGS, places
from mascot_jax.engine.prediction import ColdRule, check_row
from mascot_jax.engine.ratings import Triples
from mascot_jax.engine.sums import pairwise_sum, rounded
from mascot_jax.tables.table import Table

Sums = tuple[jax.Array, jax.Array]
"""Of squared and of absolute errors, float32 ``()``."""


class HeldOut:
    """Ratings that are not trained on, copied once to JAX's default device.

    Parameters
    ----------
    user_rows, item_rows
        uint32 ``(n,)``: regrouped rows.
    ratings
        float32 ``(n,)``, in their own units, as are all errors.
    rule
        Rule for cold pairs, biases and units.
    """

    def __init__(
        self,
        user_rows: NDArray[np.uint32],
        item_rows: NDArray[np.uint32],
        ratings: NDArray[np.float32],
        rule: ColdRule,
    ) -> None:
        self.rule = rule
        self.cold_count = int(rule.is_cold(user_rows, item_rows).sum())
        """Number of ratings with a cold user or item."""
        self._count = len(ratings)
        self._highest_user = int(user_rows.max(initial=0))
        self._highest_item = int(item_rows.max(initial=0))
        self._chunks = list(_chunks((user_rows, item_rows, ratings), rule))

    def __len__(self) -> int:
        return self._count

    def arrays(self) -> Iterator[NDArray[Any]]:
        """Yield every array that scores depend on, to make a digest."""
        for chunk in self._chunks:
            yield from (np.asarray(part) for part in chunk)

    def score(
        self,
        users: Table,
        items: Table,
        execution: Execution,
        clip: tuple[float, float] | None = None,
    ) -> ErrorTotals:
        """Return the errors of predicting all ratings; two numbers per chunk leave the device.

        Parameters
        ----------
        users, items
            Factors and groups, on the device of the ratings.
        execution
            Execution options.
        clip
            Lowest and highest prediction; None: no limits.

        Raises
        ------
        IndexError
            If a row does not exist.
        """
        check_row(self._highest_user, users, "user")
        check_row(self._highest_item, items, "item")
        sums = partial(_error_sums, users=users, items=items, execution=execution)
        return self.total(lambda _, chunk, bounds: sums(chunk, bounds=bounds), clip)

    def total(self, sums_of: SumsOf, clip: tuple[float, float] | None = None) -> ErrorTotals:
        """Return the errors, given a function for the sums of a chunk's, with its number."""
        bounds = self.rule.units.normal(np.array(clip or (-np.inf, np.inf), dtype=np.float32))
        bounds.sort()  # a negative scale turns them
        sums = [sums_of(number, chunk, bounds) for number, chunk in enumerate(self._chunks)]
        squared, absolute = np.array(jax.device_get(sums), np.float64).reshape(-1, 2).sum(axis=0)
        scale = abs(self.rule.units.scale)
        return ErrorTotals(float(squared) * scale**2, float(absolute) * scale, self._count)


def score_baselines(held_out: Triples, rule: ColdRule, biases: Biases | None) -> Baselines:
    """Return the errors of predicting held-out ratings, by row, without factors."""
    mean, of_biases = (_rmse(held_out, rule.without_factors(known)) for known in (None, biases))
    return Baselines(mean, None if biases is None else of_biases)


def _rmse(held_out: Triples, rule: ColdRule) -> float:
    totals = ErrorTotals(0.0, 0.0, 0)
    users, items, ratings = held_out
    for part in parts(len(ratings)):
        nothing = np.zeros(len(ratings[part]), dtype=np.float32)
        predicted = rule.complete(nothing, users[part], items[part])
        totals = totals.and_of(predicted, ratings[part])
    return totals.rmse


class Chunk(NamedTuple):
    """Pairs that are predicted together; arrays ``(size,)``, all chunks of one size."""

    used: np.int32
    """Number of pairs; the rest of the arrays is padding."""
    user_rows: jax.Array
    item_rows: jax.Array
    ratings: jax.Array
    cold: jax.Array
    """bool: pairs whose product of rows is left out."""
    offset: jax.Array
    """Added to the product of the rows."""


SumsOf = Callable[[int, Chunk, NDArray[np.float32]], Sums]


def _chunks(held_out: Triples, rule: ColdRule) -> Iterator[Chunk]:
    """Yield the fewest equal chunks of ratings, so that all run as one compiled program."""
    count = len(held_out[0])
    wanted = -(-count // prediction.PAIRS_AT_A_TIME)
    size = -(-count // max(wanted, 1))
    length = places(size, LEAST_RATINGS)

    def put(part: NDArray[np.generic]) -> jax.Array:
        # JAX may keep using the memory that it is given: np.pad's copy, not the caller's array.
        return jnp.asarray(np.pad(part, (0, length - len(part))), dtype=part.dtype)

    for start in range(0, count, max(size, 1)):
        part = slice(start, start + size)
        users, items, ratings = held_out[0][part], held_out[1][part], held_out[2][part]
        cold, offset = rule.is_cold(users, items), rule.offset(users, items)
        columns = users, items, rule.units.normal(ratings), cold, offset
        yield Chunk(np.int32(len(users)), *map(put, columns))


@partial(jax.jit, static_argnames="execution")
def _error_sums(
    chunk: Chunk, users: Table, items: Table, bounds: jax.Array, execution: Execution
) -> Sums:
    dots = kernels.predict(chunk.user_rows, chunk.item_rows, users, items, execution=execution)
    return error_sums(chunk, dots, bounds)


def error_sums(chunk: Chunk, dots: jax.Array, bounds: jax.Array) -> Sums:
    """Return the sums of a chunk's errors, given the products of its pairs' rows.

    ``dots`` is float32 ``(size,)``; ``bounds`` is float32 ``(2,)``: the lowest and the highest
    prediction.
    """
    low, high = bounds
    products = jnp.where(chunk.cold, jnp.float32(0), dots)
    predictions = jnp.clip(products + chunk.offset, low, high)
    counted = jnp.arange(dots.shape[0]) < chunk.used
    errors = jnp.where(counted, predictions - chunk.ratings, jnp.float32(0))
    return pairwise_sum(rounded(jnp.square(errors))), pairwise_sum(jnp.abs(errors))
