"""The n best items for every query: exact, in batches, without a table of queries x items.

The scores of a batch are one matrix product. Sorting them would take longer than the product.
Instead, only the n blocks of items with the highest maxima are searched: n items, one in each of
these blocks, are ahead of an item in any other block.
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
from mascot_jax.ranking.host import best_on_host
from mascot_jax.ranking.pairs import Pairs

SCORES_AT_A_TIME: Final = 1 << 22
"""Scores in a batch: 16 MiB, which a last-level cache may hold. From 32 MiB on, the C library maps
fresh memory for each batch, which doubles the time per query."""
BLOCK: Final = 32
"""Items in a block: few maxima to choose from, and few items within the n best blocks."""
STEPS_PER_OCTAVE: Final = 8
"""Sizes that candidates are padded to, between a power of two and the next. Each size is a program
to compile; padding adds an eighth at most."""
FEWEST_PAIRS: Final = 1024
"""Excluded pairs are padded to a power of two, at least this one, so that single queries nearly
always run the same program."""


class TopN(NamedTuple):
    """Recommendations, one per entry: ordered by query, best first."""

    queries: NDArray[np.int64]
    """``(entries,)``: row of each entry's query in ``queries``."""
    items: NDArray[np.uint32]
    """``(entries,)``: item indices."""
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
    """Find the items with the largest inner product with each query.

    The search runs on the device that ``jax.default_device`` is set to; if to none, in NumPy.

    Of equal scores, after rounding to float32, the lower index comes first.

    Parameters
    ----------
    queries
        float32 ``(b, k)``: factors.
    items
        float32 ``(rows, k)``: factors, one row per index.
    n
        Items wanted for each query, at least 1; a query gets fewer if fewer are left.
    item_offset
        float32 ``(rows,)``: added to every score, such as item biases; None adds nothing.
    exclude
        Items that each query must not get; None excludes nothing.
    candidates
        uint32 ``(c,)``: the only items that queries can get, in any order; None allows all.

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
    """Items that can be recommended, checked and copied once to where ``top_n`` searches.

    Parameters
    ----------
    factors, offset, candidates
        As ``items``, ``item_offset`` and ``candidates`` in ``top_n``.

    Raises
    ------
    DataError, IndexError
        As in ``top_n``, for these arguments.
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
        self._on_host = jax.default_device.value is None
        self._table = _lay_out(factors, offset, candidates, on_host=self._on_host)

    def best(self, queries: NDArray[np.float32], n: int, exclude: Pairs | None = None) -> TopN:
        """Find the n best items for each query, as in ``top_n``."""
        self._check(queries, n, exclude)
        table = self._table
        n = min(n, len(table.factors))
        best = np.empty((len(queries), n), dtype=np.int32)
        scores = np.empty((len(queries), n), dtype=np.float32)
        for part, batch, without in _batches(queries, exclude, table, exact=self._on_host):
            if self._on_host:
                found = best_on_host(batch, table.factors, table.offset, without, n, BLOCK)
            else:
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
    """Items, or candidates, padded to whole blocks."""

    factors: Any
    """float32 ``(places, k)``, of NumPy or of JAX."""
    offset: Any
    """float32 ``(places,)``: offset of each item; minus infinity in padding."""
    indices: NDArray[np.uint32] | None
    """uint32 ``(c,)``: item index of each place; None if all items are there, in order."""
    places: NDArray[np.int32] | None
    """int32 ``(rows,)``: place of each item, past the last one for others; None as above."""


def _lay_out(
    items: NDArray[np.float32],
    item_offset: NDArray[np.float32] | None,
    candidates: NDArray[np.uint32] | None,
    *,
    on_host: bool,
) -> _Table:
    """Copy the items that can be recommended, in index order."""
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
    factors = np.pad(items, ((0, fill), (0, 0)))
    # Adding 0 makes -0, which sorts below it, 0.
    offset = np.pad(item_offset, (0, fill), constant_values=-np.inf) + np.float32(0)
    if on_host:
        return _Table(factors, offset, indices, places)
    return _Table(jnp.asarray(factors), jnp.asarray(offset), indices, places)


def _batches(
    queries: NDArray[np.float32], exclude: Pairs | None, table: _Table, *, exact: bool
) -> Iterator[tuple[slice, NDArray[np.float32], NDArray[np.int32]]]:
    """Split queries ``(b, k)`` into batches, of equal size unless ``exact``.

    Yields
    ------
    slice, float32 ``(size, k)``, int32 ``(2, pairs)``
        The rows of the queries; their factors, padded with zeros; and row and place of every
        excluded item, padded with pairs out of range.
    """
    most = max(SCORES_AT_A_TIME // max(len(table.factors), 1), 1)
    size = min(most, _power_of_two(len(queries)))
    for start in range(0, len(queries), size):
        part = slice(start, min(start + size, len(queries)))
        if exact:
            yield part, queries[part], _pairs(exclude, part, table.places)
            continue
        batch = np.pad(queries[part], ((0, size - part.stop + part.start), (0, 0)))
        yield part, batch, _excluded(exclude, part, size, table.places)


def _excluded(
    exclude: Pairs | None, part: slice, size: int, places: NDArray[np.int32] | None
) -> NDArray[np.int32]:
    """Return the excluded items of a batch, int32 ``(2, pairs)``, as in ``_batches``."""
    found = _pairs(exclude, part, places)
    if exclude is None:
        return found
    count = found.shape[1]
    pairs = np.full((2, max(_power_of_two(count), FEWEST_PAIRS)), size, dtype=np.int32)
    pairs[:, :count] = found
    return pairs


def _pairs(
    exclude: Pairs | None, part: slice, places: NDArray[np.int32] | None
) -> NDArray[np.int32]:
    """Return query and place of the excluded items of a batch, int32 ``(2, pairs)``."""
    if exclude is None:
        return np.empty((2, 0), dtype=np.int32)
    starts = exclude.starts[part.start : part.stop + 1]
    items = exclude.items[starts[0] : starts[-1]]
    rows = np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))
    return np.stack([rows, (items if places is None else places[items]).astype(np.int32)])


@partial(jax.jit, static_argnames=("n",))
def _best(
    queries: jax.Array, items: jax.Array, offset: jax.Array, without: jax.Array, n: int
) -> tuple[jax.Array, jax.Array]:
    """Return places and scores ``(size, n)`` of the n best items; minus infinity is no item.

    ``queries`` is ``(size, k)``, ``items`` ``(places, k)``, ``offset`` ``(places,)``, ``without``
    ``(2, pairs)``.
    """
    size, blocks = len(queries), len(items) // BLOCK
    # Otherwise a GPU may round factors to fewer bits.
    scores = jnp.dot(queries, items.T, precision=jax.lax.Precision.HIGHEST)
    scores = scores.at[without[0], without[1]].set(-jnp.inf, mode="drop")
    scores = scores.reshape(size, blocks, BLOCK)
    offset = offset.reshape(blocks, BLOCK)
    maxima = (scores + offset[None]).max(axis=2)
    # top_k prefers the first of equal numbers, so blocks and items must stay in order of places.
    chosen = jnp.sort(jax.lax.top_k(maxima, min(n, blocks))[1], axis=1)  # [size, blocks chosen]
    within = jnp.take_along_axis(scores, chosen[:, :, None], axis=1) + offset[chosen]
    found, at = jax.lax.top_k(within.reshape(size, -1), n)
    return jnp.take_along_axis(chosen, at // BLOCK, axis=1) * BLOCK + at % BLOCK, found


def _power_of_two(count: int) -> int:
    """Return the smallest power of two that is not below ``count``."""
    return 1 << max(count - 1, 0).bit_length()


def check_wanted(n: Any) -> None:
    """Raise a SettingsError unless ``n`` is an integer of at least 1."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise SettingsError(f"n is {n!r}; it must be an integer, at least 1")


def _check_finite(name: str, numbers: NDArray[np.float32] | None) -> None:
    if numbers is not None and not np.isfinite(numbers).all():
        raise DataError(f"{name}: not all numbers are finite; train or load the model anew")


def check_indices(name: str, indices: NDArray[np.integer] | None, count: int) -> None:
    """Raise an IndexError if an index is not below ``count``."""
    if indices is not None and indices.size and (highest := int(indices.max())) >= count:
        raise IndexError(f"{name}: index {highest} does not exist: there are {count}")
