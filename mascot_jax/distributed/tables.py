"""Tables of factors to the workers and back.

A table that the workers hold has arrays ``(workers, ...)``, except for its codes, which all have.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.distributed.division import Division
from mascot_jax.distributed.workers import Workers, local_part
from mascot_jax.engine.tables import to_device, to_host
from mascot_jax.tables.rows import Rows
from mascot_jax.tables.storage import STORAGES, Storage
from mascot_jax.tables.table import Table


def spread(
    table: Table, side: int, division: Division, workers: Workers, storages: Iterable[Storage]
) -> Table:
    """Give each worker the rows that it keeps, or all if the side travels.

    Parameters
    ----------
    table
        The whole table, on JAX's default device; the same in all processes.
    side
        Which side it is: ``division.USERS`` or ``ITEMS``.
    division, workers
        Who keeps what.
    storages
        Storages that groups may be promoted to.
    """
    rows, groups = to_host(table), table.groups
    starts = rows.starts.astype(np.int64)
    most = max(int(np.count_nonzero(division.kept(w))) for w in range(len(workers)))

    def part(worker: int) -> Table:
        if side != division.stays:
            return _with_groups(to_device(rows, storages), groups)
        kept = rows.where(division.kept(worker), division.starts_at(worker, starts))
        return _with_groups(to_device(kept, storages, least=most), groups)

    spread: Table = workers.each(part)
    return dataclasses.replace(spread, codes=workers.same(table.codes))


def _with_groups(table: Table, count: int) -> Table:
    """Return a table of so many groups, as the whole one: those behind its own have no rows."""
    more = count + 1 - table.starts.shape[0]
    return dataclasses.replace(table, starts=jnp.pad(table.starts, (0, more), "edge"))


def gathered(
    table: Table,
    side: int,
    starts: NDArray[np.uint32],
    division: Division,
    workers: Workers,
    storages: Iterable[Storage],
) -> Table:
    """Return the whole table on JAX's default device, in all processes.

    ``starts`` is uint32 ``(g + 1,)``: first row of each group; the others are as for ``spread``.
    """
    local = {number: rows_of(table, device) for number, device in workers.here}
    if side != division.stays:
        return to_device(next(iter(local.values())), storages)
    codes = np.asarray(table.codes)[: len(starts) - 1]
    rows = Rows(table.factors, {}, starts, codes)
    for storage in (STORAGES[name] for name in table.stored):
        live = rows.in_storage(storage)
        if live.any():
            parts = {number: part.stored.get(storage.name) for number, part in local.items()}
            rows.stored[storage.name] = _stored(parts, live, storage, table, division, workers)
    return to_device(rows, storages)


def rows_of(table: Table, device: jax.Device) -> Rows:
    """Return the live rows of the worker on a device of this process."""
    arrays: Any = {name: local_part(array, device) for name, array in table.stored.items()}
    starts: Any = local_part(table.starts, device)
    return to_host(dataclasses.replace(table, stored=arrays, starts=starts))


def _stored(
    parts: dict[int, NDArray[Any] | None],
    live: NDArray[np.bool_],
    storage: Storage,
    table: Table,
    division: Division,
    workers: Workers,
) -> NDArray[Any]:
    """Return all rows in one storage, given those of this process's workers."""
    chosen = [live & division.kept(worker) for worker in range(len(workers))]
    counts = [np.count_nonzero(rows) for rows in chosen]
    elements = storage.elements(table.factors)

    def padded(worker: int) -> NDArray[Any]:
        array = np.zeros((max(counts), elements), dtype=storage.dtype)
        if parts[worker] is not None:
            array[: counts[worker]] = parts[worker]
        return array

    found = workers.gather(workers.each(padded))
    stored = np.empty((np.count_nonzero(live), elements), dtype=storage.dtype)
    for worker, rows in enumerate(chosen):
        stored[rows[live]] = found[worker, : counts[worker]]
    return stored
