"""The n best items of every query: exact, in batches, never a table of queries x items.

A batch's scores are one product of matrices. Sorting them would take longer than that: instead the
maxima of blocks of items are taken, and only the n blocks with the highest are looked into. An item
elsewhere is behind n others, one in each of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.errors import DataError, SettingsError
from mascot_jax.ranking.pairs import Pairs

SCORES_AT_A_TIME: Final = 1 << 22
"""Bounds the queries of a batch: 16 MiB of scores, which a last-level cache may hold. From 32 MiB
on, the C library maps fresh memory for each batch: twice the time per query."""
BLOCK: Final = 32
"""Items with one maximum: few maxima to choose from, and few items within the n best blocks."""
STEPS_PER_OCTAVE: Final = 8
"""Sizes that candidates are filled up to, between a power of two and the next: each is a program
to compile, and takes an eighth more at most."""
FEWEST_PAIRS: Final = 1024
"""Excluded pairs are filled up to a power of two, and to this at least: what one query excludes is
then nearly always the same program."""


class TopN(NamedTuple):
    """Recommendations, one an entry: ordered by query, best first."""

    queries: NDArray[np.int64]
    """``(entries,)``: position in the batch of queries."""
    items: NDArray[np.uint32]
    """``(entries,)``: indices of items."""
    scores: NDArray[np.float32]
    """``(entries,)``."""


def top_n(
    queries: NDArray[np.float32],
    items: NDArray[np.float32],
    n: int,
    *,
    item_offset: NDArray[np.float32] | None = None,
    exclude: Pairs | None = None,
    candidates: NDArray[np.uint32] | None = None,
) -> TopN:
    """Find the items whose product with each query is largest, on JAX's default device.

    Of equal scores, as rounded to float32, the lower index comes first.

    Parameters
    ----------
    queries
        float32 ``(b, k)``: factors.
    items
        float32 ``(rows, k)``: factors, one row an index.
    n
        Items wanted for each query, at least 1. A query for which fewer are left gets fewer.
    item_offset
        float32 ``(rows,)``: added to every score, as item biases are; nothing if None.
    exclude
        Items that a query must not get; none if None.
    candidates
        uint32 ``(c,)``: the only items that any query can get, in any order; all if None.

    Raises
    ------
    SettingsError
        ``n`` is below 1.
    DataError
        Arrays do not fit together, or hold numbers that are not finite.
    IndexError
        An item does not exist.
    """
    return Items(items, item_offset, candidates).best(queries, n, exclude)


class Items:
    """Items that can be recommended, checked and laid out on JAX's default device once.

    Parameters
    ----------
    factors, offset, candidates
        ``items``, ``item_offset`` and ``candidates`` of ``top_n``.

    Raises
    ------
    DataError, IndexError
        As ``top_n``, of these.
    """

    def __init__(
        self,
        factors: NDArray[np.float32],
        offset: NDArray[np.float32] | None = None,
        candidates: NDArray[np.uint32] | None = None,
    ) -> None:
        if offset is not None and len(offset) != len(factors):
            raise DataError(f"{len(offset)} item offsets for {len(factors)} items; give one each")
        _check_finite("items", factors)
        _check_finite("item_offset", offset)
        check_indices("candidates", candidates, len(factors))
        self._count, self._k = factors.shape
        self._table = _lay_out(factors, offset, candidates)

    def best(self, queries: NDArray[np.float32], n: int, exclude: Pairs | None = None) -> TopN:
        """Do what ``top_n`` says, which it is a part of."""
        self._check(queries, n, exclude)
        table = self._table
        n = min(n, len(table.factors))
        best = np.empty((len(queries), n), dtype=np.int32)
        scores = np.empty((len(queries), n), dtype=np.float32)
        for part, batch, without in _batches(queries, exclude, table):
            found = _best(batch, table.factors, table.offset, without, n=n)
            live = part.stop - part.start
            best[part], scores[part] = (np.asarray(array)[:live] for array in found)
        there = ~np.isneginf(scores)
        chosen = best[there]
        return TopN(
            np.repeat(np.arange(len(queries)), there.sum(axis=1)),
            table.indices[chosen] if table.indices is not None else chosen.astype(np.uint32),
            scores[there],
        )

    def _check(self, queries: NDArray[np.float32], n: int, exclude: Pairs | None) -> None:
        check_wanted(n)
        if queries.shape[1] != self._k:
            raise DataError(
                f"queries have {queries.shape[1]} factors, items {self._k}; take both from one "
                "model"
            )
        _check_finite("queries", queries)
        if exclude is None:
            return
        if len(exclude.starts) != len(queries) + 1:
            raise DataError(
                f"exclude is for {len(exclude.starts) - 1} queries, not {len(queries)}; give each "
                "a row"
            )
        check_indices("exclude", exclude.items, self._count)


class _Table(NamedTuple):
    """Items, or candidates, filled up to whole blocks."""

    factors: jax.Array
    """float32 ``(places, k)``."""
    offset: jax.Array
    """float32 ``(places,)``: minus infinity where there is no item."""
    indices: NDArray[np.uint32] | None
    """uint32 ``(c,)``: which item each place holds; None if each its own."""
    places: NDArray[np.int32] | None
    """int32 ``(rows,)``: the place of each item, past the last one if it has none."""


def _lay_out(
    items: NDArray[np.float32],
    item_offset: NDArray[np.float32] | None,
    candidates: NDArray[np.uint32] | None,
) -> _Table:
    """Copy the items that can be recommended to the device, in the order of their indices."""
    if item_offset is None:
        item_offset = np.zeros(len(items), dtype=np.float32)
    indices = places = None
    step = BLOCK
    if candidates is not None:
        indices = np.unique(candidates)
        items, rows = items[indices], len(items)
        item_offset = item_offset[indices]
        step = max(BLOCK, _power_of_two(len(indices)) // (2 * STEPS_PER_OCTAVE))
        places = np.full(rows, np.iinfo(np.int32).max, dtype=np.int32)
        places[indices] = np.arange(len(indices), dtype=np.int32)
    fill = -len(items) % step
    return _Table(
        jnp.asarray(np.pad(items, ((0, fill), (0, 0)))),
        jnp.asarray(np.pad(item_offset, (0, fill), constant_values=-np.inf)),
        indices,
        places,
    )


def _batches(
    queries: NDArray[np.float32], exclude: Pairs | None, table: _Table
) -> Iterator[tuple[slice, NDArray[np.float32], NDArray[np.int32]]]:
    """Cut queries ``(b, k)`` into batches of one size.

    Yields
    ------
    slice, float32 ``(size, k)``, int32 ``(2, pairs)``
        Which queries, their factors, and row and place of every excluded item; these are filled
        up with pairs that do not exist.
    """
    most = max(SCORES_AT_A_TIME // max(len(table.factors), 1), 1)
    size = min(most, _power_of_two(len(queries)))
    for start in range(0, len(queries), size):
        part = slice(start, min(start + size, len(queries)))
        batch = np.pad(queries[part], ((0, size - part.stop + part.start), (0, 0)))
        yield part, batch, _excluded(exclude, part, size, table.places)


def _excluded(
    exclude: Pairs | None, part: slice, size: int, places: NDArray[np.int32] | None
) -> NDArray[np.int32]:
    """Return a batch's excluded items, int32 ``(2, pairs)``, as ``_batches`` says."""
    if exclude is None:
        return np.empty((2, 0), dtype=np.int32)
    starts = exclude.starts[part.start : part.stop + 1]
    items = exclude.items[starts[0] : starts[-1]]
    pairs = np.full((2, max(_power_of_two(len(items)), FEWEST_PAIRS)), size, dtype=np.int32)
    pairs[0, : len(items)] = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    pairs[1, : len(items)] = items if places is None else places[items]
    return pairs


@partial(jax.jit, static_argnames=("n",))
def _best(
    queries: jax.Array, items: jax.Array, offset: jax.Array, without: jax.Array, n: int
) -> tuple[jax.Array, jax.Array]:
    """Return places and scores of the n best, ``(size, n)``; minus infinity is nothing.

    ``queries`` is ``(size, k)``, ``items`` ``(places, k)``, ``offset`` ``(places,)``, ``without``
    ``(2, pairs)``.
    """
    size, blocks = len(queries), len(items) // BLOCK
    # Not in the shorter numbers that a GPU may otherwise round factors to.
    scores = jnp.dot(queries, items.T, precision=jax.lax.Precision.HIGHEST)
    scores = scores.at[without[0], without[1]].set(-jnp.inf, mode="drop")
    scores = scores.reshape(size, blocks, BLOCK)
    offset = offset.reshape(blocks, BLOCK)
    maxima = (scores + offset[None]).max(axis=2)
    # Of equal numbers top_k takes the first: blocks and items stay in the order of their places.
    chosen = jnp.sort(jax.lax.top_k(maxima, min(n, blocks))[1], axis=1)  # [size, blocks chosen]
    within = jnp.take_along_axis(scores, chosen[:, :, None], axis=1) + offset[chosen]
    found, at = jax.lax.top_k(within.reshape(size, -1), n)
    return jnp.take_along_axis(chosen, at // BLOCK, axis=1) * BLOCK + at % BLOCK, found


def _power_of_two(count: int) -> int:
    """Return the smallest power of two that is not below ``count``."""
    return 1 << max(count - 1, 0).bit_length()


def check_wanted(n: Any) -> None:
    """Raise a SettingsError if so many cannot be wanted."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise SettingsError(f"n is {n!r}; it must be an integer, at least 1")


def _check_finite(name: str, numbers: NDArray[np.float32] | None) -> None:
    if numbers is not None and not np.isfinite(numbers).all():
        raise DataError(f"{name}: not all numbers are finite; train or load the model anew")


def check_indices(name: str, indices: NDArray[np.integer] | None, count: int) -> None:
    """Raise an IndexError if there is one past the ``count`` rows that exist."""
    if indices is not None and indices.size and (highest := int(indices.max())) >= count:
        raise IndexError(f"{name}: index {highest} does not exist: there are {count}")
