"""Id tables: the ids of the users or of the items, and the index of each.

The index of an id is its position in ascending order, so it does not depend on the order of the
ratings. Ids are integers, floats, booleans, strings, bytes, UUIDs, dates or durations; or other
hashable Python objects, which cannot be saved. Integers of different types are equal if their
values are, integral decimals too; a string never equals a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mascot_jax.errors import DataError
from mascot_jax.ids.column import Column, StreamedColumn
from mascot_jax.ids.kinds import (
    BYTES,
    DATETIME,
    INTEGER,
    OBJECT,
    STRING,
    TIMEDELTA,
    UUIDS,
    as_scalars,
    canonical,
)
from mascot_jax.ids.times import one_unit, to_unit

LARGEST_LOOKUP: Final = 1 << 24
"""Largest range of integer ids that is looked up in a table (64 MiB) instead of searched for. A
search takes some 100 ns, a second for every ten million ratings."""


class IdTable:
    """Distinct ids in ascending order; the index of an id is its position.

    Strings are ordered by code point. Other objects are ordered by value or, if some do not
    compare, by the name of their type, then by ``repr``.

    Attributes
    ----------
    kind
        ``integer``, ``float``, ``bool``, ``string``, ``bytes``, ``uuid``, ``datetime``,
        ``timedelta`` or ``object``.
    values
        ``(n,)``: the ids. Integers are int64, or uint64 if int64 cannot hold them; floats are
        float64; strings, bytes, UUIDs and other objects have dtype object.
    """

    def __init__(self, kind: str, values: NDArray[Any]) -> None:
        self.kind = kind
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"IdTable({len(self)} {self.kind} ids)"

    def __getstate__(self) -> dict[str, Any]:
        return {"kind": self.kind, "values": self.values}

    def decode(self, indices: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Return the ids at ``indices``."""
        return np.asarray(self.values[indices])

    def encode(self, ids: NDArray[Any], name: str) -> NDArray[np.int64]:
        """Return the index of each id, int64 ``(n,)``; -1 for ids not in the table.

        Parameters
        ----------
        ids
            Ids ``(n,)``.
        name
            Name of the ids in messages, such as ``user``.

        Raises
        ------
        DataError
            An id is missing (None, NaN, NaT), or the ids are of another kind than the table's.
        """
        if not len(ids) or not len(self):
            return np.full(len(ids), -1, dtype=np.int64)
        kind, ids = canonical(ids, name)
        if self.kind == OBJECT:
            return self._encode_objects(as_scalars(ids))
        if kind != self.kind:
            raise _mismatch(name, IdTable(kind, ids), self)
        if self.values.dtype == object:
            return self._encode_objects(ids)
        return self._encode_numbers(ids)

    def _encode_objects(self, ids: Sequence[Any] | NDArray[Any]) -> NDArray[np.int64]:
        get = self._index_of.get
        return np.fromiter((get(id_, -1) for id_ in ids), dtype=np.int64, count=len(ids))

    @cached_property
    def _index_of(self) -> dict[Any, int]:
        return {id_: index for index, id_ in enumerate(self.values)}

    def _encode_numbers(self, ids: NDArray[Any]) -> NDArray[np.int64]:
        ids, known = _cast(ids, self.values.dtype)
        if self.kind == INTEGER and self._has_lookup(len(ids)):
            low, high = self.values[0], self.values[-1]
            known &= (ids >= low) & (ids <= high)
            index = self._lookup[np.where(known, ids, low) - low].astype(np.int64)
        else:
            index = np.searchsorted(self.values, ids)
            index = np.minimum(index, len(self) - 1)
            known &= self.values[index] == ids
        indices: NDArray[np.int64] = np.where(known, index, -1)
        return indices

    def _has_lookup(self, queries: int) -> bool:
        """Return whether a lookup table of all possible ids exists or is worth making."""
        if "_lookup" in self.__dict__:
            return True
        width = int(self.values[-1]) - int(self.values[0]) + 1
        return width <= LARGEST_LOOKUP and width <= 4 * queries

    @cached_property
    def _lookup(self) -> NDArray[np.int32]:
        offsets = self.values - self.values[0]
        lookup = np.full(int(offsets[-1]) + 1, -1, dtype=np.int32)
        lookup[offsets] = np.arange(len(self), dtype=np.int32)
        return lookup


def table_of(column: Column | StreamedColumn, *known: IdTable) -> IdTable:
    """Return the table of a column's ids, as ``index_ids`` does."""
    table = _table_of(column)
    for other in known:
        if len(other) and other.kind not in (table.kind, OBJECT):
            raise _mismatch(column.name, table, other)
    table = _merged([table, *filter(len, known)])
    if len(table) > 1 << 32:
        raise DataError(f"{column.name}: {len(table)} different ids: at most 2^32 are possible")
    return table


def index_ids(
    column: Column | StreamedColumn, *known: IdTable
) -> tuple[IdTable, NDArray[np.uint32]]:
    """Make the table of a column's ids, and return it with the index of each row's id.

    Parameters
    ----------
    column
        Ids, at least one.
    known
        Tables whose ids the new table includes, even those not in the column.

    Returns
    -------
    table, indices
        ``indices`` is uint32 ``(column.size,)``.

    Raises
    ------
    DataError
        An id is missing (None, NaN, NaT) or not hashable (the message names its row); the ids are
        of another kind than the known ones; or there are more than 2^32 ids.
    """
    table = table_of(column, *known)
    indices = np.empty(column.size, dtype=np.uint32)
    for part, ids in column.parts():
        indices[part] = table.encode(ids, column.name)
    return table, indices


def _mismatch(name: str, found: IdTable, known: IdTable) -> DataError:
    return DataError(
        f"{name}: the ids are of kind {found.kind}, such as {found.values[0]!r}, but the known "
        f"ones of kind {known.kind}, such as {known.values[0]!r}: convert them"
    )


def _table_of(column: Column | StreamedColumn) -> IdTable:
    """Return the table of a column's distinct ids."""
    bounds = _integer_range(column)
    if bounds is None or bounds[1] - bounds[0] >= max(LARGEST_LOOKUP, column.size):
        return _merged([_distinct(ids, column.name, part.start) for part, ids in column.parts()])
    # A flag per possible id takes linear time; sorting would take ten times as long.
    low, dtype = bounds[0], _integer_dtype(*bounds)
    present = np.zeros(bounds[1] - low + 1, dtype=np.bool_)
    for _, ids in column.parts():
        present[ids.astype(dtype, copy=False) - dtype.type(low)] = True
    return IdTable(INTEGER, np.flatnonzero(present).astype(dtype) + dtype.type(low))


def _integer_range(column: Column | StreamedColumn) -> tuple[int, int] | None:
    """Return the lowest and the highest id of an integer column; None for other columns."""
    bounds: list[int] = []
    for _, ids in column.parts():
        if ids.dtype.kind not in "iu":
            return None
        bounds += int(ids.min()), int(ids.max())
    return min(bounds), max(bounds)


def _integer_dtype(low: int, high: int) -> np.dtype[Any]:
    """Return the dtype that holds integers from ``low`` to ``high``; object if no other does."""
    if high <= np.iinfo(np.int64).max:
        return np.dtype(np.int64)
    return np.dtype(np.uint64) if low >= 0 else np.dtype(object)


def _distinct(ids: NDArray[Any], name: str, first: int) -> IdTable:
    kind, ids = canonical(ids, name, first)
    if ids.dtype != object:
        return IdTable(kind, np.unique(ids))
    try:
        return IdTable(kind, _sorted(set(ids)))
    except TypeError as error:
        for row, id_ in enumerate(ids):
            if type(id_).__hash__ is None:
                raise DataError(
                    f"{name}: the id in row {first + row} (counted from 0), {id_!r}, is not "
                    "hashable: use integers, strings or tuples"
                ) from error
        raise


def _merged(tables: list[IdTable]) -> IdTable:
    """Return the union of one or more tables, none of them empty."""
    kinds = {table.kind for table in tables}
    kind = kinds.pop() if len(kinds) == 1 else OBJECT
    values = [table.values for table in tables]
    if len(tables) == 1 and kind != INTEGER:
        return tables[0]
    if kind == INTEGER:
        dtype = _integer_dtype(min(int(v[0]) for v in values), max(int(v[-1]) for v in values))
        kind = OBJECT if dtype.hasobject else INTEGER
        values = [v.astype(dtype) for v in values]
    if kind in (STRING, BYTES, UUIDS, OBJECT):
        return IdTable(kind, _sorted(set().union(*map(as_scalars, values))))
    if kind in (DATETIME, TIMEDELTA):
        values = one_unit(values)
    return IdTable(kind, np.unique(np.concatenate(values)))


def _sorted(ids: Iterable[Any]) -> NDArray[Any]:
    distinct = list(ids)
    try:
        distinct.sort()
    except TypeError:
        distinct.sort(key=repr)
        distinct.sort(key=lambda id_: type(id_).__qualname__)
    return np.fromiter(distinct, dtype=object, count=len(distinct))


def _cast(ids: NDArray[Any], dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return ids as ``dtype``, and bool ``(n,)``: the ids that ``dtype`` can hold."""
    if ids.dtype == dtype:
        return ids, np.ones(len(ids), dtype=np.bool_)
    if dtype.kind in "mM":
        return to_unit(ids, dtype)
    with np.errstate(over="ignore"):
        cast = ids.astype(dtype)
    known = cast == ids
    if ids.dtype.kind != dtype.kind:  # signed and unsigned: -1 would become the highest
        known = (cast <= np.iinfo(np.int64).max) & (ids >= 0) & (ids <= np.iinfo(np.int64).max)
    return cast, known
