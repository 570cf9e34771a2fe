"""Move tables of factors between host and device, in the layout that the kernels take."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts
from mascot_jax.engine.codec import encode
from mascot_jax.engine.padding import LEAST_ROWS, pad, pad_starts, padded_size, places
from mascot_jax.tables.rows import AT_A_TIME, Rows
from mascot_jax.tables.storage import STORAGES, Storage
from mascot_jax.tables.table import Table

SMALL: Final = 1 << 25
"""Bytes. Smaller arrays gain nothing from huge pages and are copied as a whole: writing rows in
place compiles a program for each shape, a tenth of a second before a first prediction."""


def allocate(rows: int, factors: int, storage: Storage) -> jax.Array:
    """Allocate an uninitialised array ``(rows, stride)`` on huge pages.

    Rows that are never touched cost no memory.
    """
    array: jax.Array = uninitialised(rows, storage.stride(factors), storage.dtype)
    return array


@partial(jax.jit, static_argnums=(0, 1, 2))
def uninitialised(rows: int, stride: int, dtype: np.dtype[Any]) -> jax.Array:
    """Allocate an uninitialised array ``(rows, stride)`` on huge pages."""
    shape = jax.ShapeDtypeStruct((rows, stride), dtype)
    array: jax.Array = jax.ffi.ffi_call("mascot_allocate", shape)()
    return array


def group_arrays(
    starts: NDArray[np.uint32], codes: NDArray[np.uint8]
) -> tuple[jax.Array, jax.Array]:
    """Copy groups to JAX's default device; on a CPU with groups without rows behind them."""
    padded = pad_starts(starts)
    return padded, jnp.asarray(np.pad(codes, (0, len(padded) - len(starts))))


def to_device(rows: Rows, storages: Iterable[Storage] = (), *, least: int = LEAST_ROWS) -> Table:
    """Copy rows to a table on JAX's default device.

    Parameters
    ----------
    rows
        The factors; ``Rows.check`` has checked their groups.
    storages
        Further storages that groups may be promoted to.
    least
        Least number of places of its arrays, so that several tables may be as long.
    """
    names = {*rows.stored, *(storage.name for storage in storages)}
    return Table(
        rows.factors,
        {name: _fill(rows, STORAGES[name], least) for name in sorted(names)},
        *group_arrays(rows.starts, rows.codes),
    )


def to_host(table: Table) -> Rows:
    """Copy the live rows of a table; the table can then still be updated in place."""
    starts = np.array(table.starts)
    groups = int(np.searchsorted(starts, starts[-1]))  # the others have no rows
    rows = Rows(table.factors, {}, starts[: groups + 1], np.array(table.codes)[:groups])
    for name, array in table.stored.items():
        live = rows.in_storage(STORAGES[name])
        if live.any():
            # A copy: with a view of the array alive, the next epoch could not update it in place.
            rows.stored[name] = np.asarray(array)[: len(rows)][
                live, : STORAGES[name].elements(table.factors)
            ]
    return rows


def encoded(
    dense: NDArray[np.float32],
    starts: NDArray[np.uint32],
    codes: NDArray[np.uint8],
    storages: Iterable[Storage],
) -> Rows:
    """Encode factors float32 ``(rows, k)`` in the storages of their groups, rounding to nearest."""
    rows = Rows(dense.shape[1], {}, starts, codes)
    for storage in storages:
        live = np.flatnonzero(rows.in_storage(storage))
        if live.size:
            rows.stored[storage.name] = np.concatenate(
                [_encoded(dense[live[part]], storage) for part in parts(live.size, AT_A_TIME)]
            )
    return rows


_encode = partial(jax.jit, static_argnums=0)(encode)


def _encoded(dense: NDArray[np.float32], storage: Storage) -> NDArray[Any]:
    """Encode rows, padded so that few programs are compiled."""
    size = padded_size(len(dense), LEAST_ROWS)
    return np.asarray(_encode(storage, jnp.asarray(pad(dense, size))))[: len(dense)]


def _fill(rows: Rows, storage: Storage, least: int) -> jax.Array:
    """Return one storage's array with its live rows; the rest of a large array is untouched."""
    live = np.flatnonzero(rows.in_storage(storage))
    stride, elements = storage.stride(rows.factors), storage.elements(rows.factors)
    size = places(max(len(rows), least), LEAST_ROWS)
    if size * stride * storage.dtype.itemsize < SMALL:
        small = np.zeros((size, stride), dtype=storage.dtype)
        if live.size:
            small[live, :elements] = rows.stored[storage.name]
        return jnp.array(small)
    array = allocate(size, rows.factors, storage)
    for part in parts(live.size, AT_A_TIME):
        padded = np.zeros((AT_A_TIME, stride), dtype=storage.dtype)
        padded[: part.stop - part.start, :elements] = rows.stored[storage.name][part]
        row = np.arange(size, size + AT_A_TIME, dtype=np.int64)  # of padding: none there is
        row[: part.stop - part.start] = live[part]
        array = _put(array, row.astype(np.uint32), padded)
    return array


@partial(jax.jit, donate_argnames="array")
def _put(array: jax.Array, rows: NDArray[np.uint32], values: NDArray[Any]) -> jax.Array:
    """Write rows ``(n, stride)`` in place: a copy would not be on huge pages.

    ``rows`` is uint32 ``(n,)``, ascending: the rows of the array to write; those that it does not
    have are dropped.
    """
    return array.at[rows].set(values, mode="drop", indices_are_sorted=True, unique_indices=True)
