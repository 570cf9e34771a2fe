"""The embedding tables of a model: made, measured, rounded, packed and taken out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts
from mascot_jax.clicks.data import SHARED_ROW, ClickData
from mascot_jax.dlrm.tiers import Tiers
from mascot_jax.engine.embedding import ROW_FORMATS, EmbeddingTables, look_up, store
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.tables import uninitialised
from mascot_jax.settings.clicks import ClickSettings

AT_A_TIME = 1 << 14
"""Rows that are made or converted at a time."""


def tiers_of(settings: ClickSettings, data: ClickData) -> Tiers:
    """Return which rows are wide: those that training visits often, or all if all are float32."""
    if settings.rows_storage == "float32":
        return Tiers.first(data.cardinalities, data.cardinalities)
    least = settings.min_visits_float
    if least is None:
        return Tiers.first(data.cardinalities, [0] * data.fields)
    masks = [counts >= least for counts in data.counts]
    for mask in masks:
        # The shared row is visited by all new ids; and so, sorted ids need nothing to tell tiers.
        mask[SHARED_ROW] |= mask.any()
    return Tiers.of(masks)


def initial_tables(settings: ClickSettings, tiers: Tiers, execution: Execution) -> EmbeddingTables:
    """Return random rows, uniform within ``1 / sqrt(rows of the field)``, as DLRM's own code does.

    They are the same numbers in every storage, before rounding.
    """
    wide_storage, narrow_storage = settings.frequent_storage, settings.rows_storage
    wide = _Filled(tiers.wide_rows, settings, wide_storage, execution)
    narrow = _Filled(tiers.rows - tiers.wide_rows, settings, narrow_storage, execution)
    for values, is_wide in _random_rows(settings, tiers):
        wide.add(values[is_wide])
        narrow.add(values[~is_wide])
    return EmbeddingTables(wide.table, narrow.table, narrow_storage, wide_storage)


class _Filled:
    """A tier that is filled from its first row on, in blocks.

    The blocks have one size, so that one compiled program writes them.
    """

    def __init__(
        self, rows: int, settings: ClickSettings, storage: str, execution: Execution
    ) -> None:
        row, dimension = ROW_FORMATS[storage], settings.dimension
        # Made on the device: what is made from an array of NumPy's cannot be donated.
        self.table = uninitialised(rows, row.elements(dimension), row.dtype)
        self._store = partial(store, storage=storage, execution=execution)
        self._seed = settings.seed
        self._left = rows
        self._first = self._filled = 0
        self._block = np.empty((min(rows, AT_A_TIME), dimension), np.float32)

    def add(self, rows: NDArray[np.float32]) -> None:
        """Add rows; write each block that becomes full, and the last."""
        while len(rows):
            count = min(len(rows), len(self._block) - self._filled)
            self._block[self._filled : self._filled + count] = rows[:count]
            self._filled += count
            rows = rows[count:]
            if self._filled in (len(self._block), self._left):
                self._write()

    def _write(self) -> None:
        counters = jnp.array([self._seed, self._first], jnp.uint32)
        values = jnp.asarray(self._block[: self._filled])
        self.table = self._store(self.table, values, counters)
        self.table.block_until_ready()  # what waited to be written would be held, too
        self._first += self._filled
        self._left -= self._filled
        self._filled = 0


def _random_rows(
    settings: ClickSettings, tiers: Tiers
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    """Yield rows of field after field, and which of them are wide."""
    for field, rows in enumerate(tiers.cardinalities):
        rng = np.random.default_rng([settings.seed, 0, field])
        mask, bound = tiers.mask(field), np.float32(rows**-0.5)
        for part in parts(rows, AT_A_TIME):
            share = rng.random((part.stop - part.start, settings.dimension), np.float32)
            yield (2 * share - 1) * bound, mask[part]


@partial(jax.jit, static_argnames=("rows", "levels"))
def field_scales(wide: jax.Array, *, rows: tuple[int, ...], levels: int) -> jax.Array:
    """Return float32 ``(f,)``: the largest magnitude in each field's table / ``levels``.

    ``rows`` are those of each field, one field's after the other's. The table is read block by
    block, so that no more is held at a time.
    """
    size = min(AT_A_TIME, sum(rows))
    fields, firsts, ends, start = list[int](), list[int](), list[int](), 0
    for field, count in enumerate(rows):
        blocks = range(start, start + count, size)
        fields += [field] * len(blocks)
        firsts += blocks
        ends += [min(first + size, start + count) for first in blocks]
        start += count
    starts = [min(first, start - size) for first in firsts]  # a last block begins before its rows

    def add(largest: jax.Array, block: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        field, start, first, end = block
        values = jax.lax.dynamic_slice_in_dim(wide, start, size)
        number = start + jax.lax.iota(jnp.uint32, size)
        own = (number >= first) & (number < end)
        of_block = jnp.where(own[:, None], jnp.abs(values), jnp.float32(0)).max()
        return largest.at[field].max(of_block), None

    of_blocks = tuple(jnp.array(each, jnp.uint32) for each in (fields, starts, firsts, ends))
    largest, _ = jax.lax.scan(add, jnp.zeros(len(rows), jnp.float32), of_blocks)
    scales: jax.Array = largest / jnp.float32(levels)
    return scales


def pack(tables: EmbeddingTables, tiers: Tiers, scales: jax.Array) -> EmbeddingTables:
    """Return float32 tables as ``int4-table``: looked up, they are what rounding made of them."""
    wide, dimension = np.asarray(tables.wide), tables.dimension
    packed = np.empty((tiers.rows, ROW_FORMATS["int4-table"].elements(dimension)), np.uint8)
    for field, (start, scale) in enumerate(zip(tiers.starts[0], np.asarray(scales), strict=True)):
        for part in parts(tiers.cardinalities[field], AT_A_TIME):
            rows = slice(int(start) + part.start, int(start) + part.stop)
            whole = np.clip(np.rint(wide[rows] / (scale or np.float32(1))), -8, 7)
            halves = (whole + 8).astype(np.uint8).reshape(-1, dimension // 16, 2, 8)
            packed[rows] = (halves[:, :, 0] | halves[:, :, 1] << 4).reshape(len(whole), -1)
    empty = jnp.zeros((0, dimension), jnp.float32)
    return EmbeddingTables(empty, jnp.asarray(packed), "int4-table")


def field_rows(
    tables: EmbeddingTables,
    tiers: Tiers,
    scales: jax.Array,
    field: int,
    execution: Execution,
) -> NDArray[np.float32]:
    """Return the rows of a field as they are looked up, float32 ``(rows, d)``."""
    rows = tiers.cardinalities[field]
    found = np.empty((rows, tables.dimension), np.float32)
    for part in parts(rows, AT_A_TIME):
        ids = np.arange(part.start, part.stop, dtype=np.uint32)
        numbers = jnp.asarray(tiers.numbers_of(field, ids)[:, None])
        scale = scales[field : field + 1]
        found[part] = look_up(tables, numbers, scale, execution=execution)[:, 0]
    return found
