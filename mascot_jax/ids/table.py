"""Id tables: the ids of the users or of the items, and the index of each.

The index of an id is its position in ascending order, so it does not depend on the order of the
ratings. Ids are integers, floats, booleans, strings, bytes, UUIDs, dates or durations; or other
hashable Python objects, which cannot be saved. Integers of different types are equal if their
values are, integral decimals too; a string never equals a number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from mascot_jax.errors import DataError
from mascot_jax.ids.column import Column
from mascot_jax.ids.times import as_dates, as_durations, one_unit, to_unit

INTEGER, FLOAT, BOOL = "integer", "float", "bool"
STRING, BYTES, UUIDS, OBJECT = "string", "bytes", "uuid", "object"
DATETIME, TIMEDELTA = "datetime", "timedelta"

LARGEST_LOOKUP: Final = 1 << 24
"""Largest range of integer ids that is looked up in a table (64 MiB) instead of searched for. A
search takes some 100 ns, a second for every ten million ratings."""

_OF_NUMPY: Final = {
    "i": INTEGER,
    "u": INTEGER,
    "f": FLOAT,
    "b": BOOL,
    "U": STRING,
    "T": STRING,
    "S": BYTES,
    "M": DATETIME,
    "m": TIMEDELTA,
}


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
            return self._encode_objects(_scalars(ids))
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


def index_ids(column: Column, *known: IdTable) -> tuple[IdTable, NDArray[np.uint32]]:
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
    table = _table_of(column)
    for other in known:
        if len(other) and other.kind not in (table.kind, OBJECT):
            raise _mismatch(column.name, table, other)
    table = _merged([table, *filter(len, known)])
    if len(table) > 1 << 32:
        raise DataError(f"{column.name}: {len(table)} different ids: at most 2^32 are possible")
    indices = np.empty(column.size, dtype=np.uint32)
    for part, ids in column.parts():
        indices[part] = table.encode(ids, column.name)
    return table, indices


def canonical(ids: NDArray[Any], name: str, first: int = 0) -> tuple[str, NDArray[Any]]:
    """Return the kind of the ids, and the ids in the dtype that tables hold.

    Parameters
    ----------
    ids
        Ids ``(n,)`` of any dtype.
    name, first
        Name of the ids and row of the first id, for messages.

    Raises
    ------
    DataError
        An id is missing (None, NaN, NaT) or of a type that ids cannot have.
    """
    if ids.dtype.kind == "O":
        return _canonical_objects(ids, name, first)
    kind = _OF_NUMPY.get(ids.dtype.kind)
    if kind is None:
        raise DataError(f"{name}: ids cannot be of type {ids.dtype}: use integers or strings")
    if kind in (FLOAT, DATETIME, TIMEDELTA):
        missing = np.flatnonzero(ids != ids)  # neither NaN nor NaT equals itself
        if missing.size:
            raise _missing(name, first + int(missing[0]), ids[missing[0]])
    if kind == FLOAT:
        return kind, ids.astype(np.float64, copy=False)
    return kind, ids.astype(object) if kind in (STRING, BYTES) else ids


def _canonical_objects(ids: NDArray[Any], name: str, first: int) -> tuple[str, NDArray[Any]]:
    types = set(map(type, ids))
    for kinds, kind in ((str, STRING), (bytes, BYTES)):
        if all(issubclass(t, kinds) for t in types):
            exact = types == {kinds}
            return kind, ids if exact else np.fromiter(map(kinds, ids), object, len(ids))
    for row, id_ in enumerate(ids):
        if id_ is None or type(id_).__name__ == "NAType" or not _equals_itself(id_):
            raise _missing(name, first + row, id_)
    rows = {next((row for row in _OBJECTS if issubclass(t, row[0])), None) for t in types}
    if len(rows) == 1 and (only := rows.pop()) is not None:
        return only[1](ids, name)
    return OBJECT, ids if rows.isdisjoint(_TIMES) else _mixed(ids, name)


def _canonical_integers(ids: NDArray[Any]) -> tuple[str, NDArray[Any]]:
    """Return integers, and decimals that are integers, in the first type that holds them all."""
    if all(map(_is_whole, ids)):
        for dtype in (np.int64, np.uint64):
            try:
                return INTEGER, np.array([int(id_) for id_ in ids], dtype=dtype)
            except OverflowError:
                continue
    return OBJECT, ids


def _is_whole(id_: Any) -> bool:
    """Return whether a number is an integer; decimals too large for a float are not made one."""
    return not isinstance(id_, Decimal) or (math.isfinite(id_) and id_ == int(id_))


_Row = tuple[tuple[type, ...], Callable[..., tuple[str, NDArray[Any]]]]
_TIMES: Final[tuple[_Row, ...]] = (
    ((date, np.datetime64), lambda ids, name: (DATETIME, as_dates(ids, name))),
    ((timedelta, np.timedelta64), lambda ids, name: (TIMEDELTA, as_durations(ids, name))),
)
_OBJECTS: Final[tuple[_Row, ...]] = (
    ((bool, np.bool_), lambda ids, _: (BOOL, ids.astype(np.bool_))),
    *_TIMES,
    ((UUID,), lambda ids, _: (UUIDS, ids)),
    ((int, np.integer, Decimal), lambda ids, _: _canonical_integers(ids)),
    ((float, np.floating), lambda ids, _: (FLOAT, ids.astype(np.float64))),
)
"""Types of objects, and what makes their kind and array of them. A type belongs to the first row
that it fits: ``bool`` is an ``int``, and NumPy's ``timedelta64`` an ``integer``. Python's
``datetime`` is a ``date``, and so are pandas' timestamps."""


def _mixed(ids: NDArray[Any], name: str) -> NDArray[Any]:
    """Return objects with the dates and durations among them in the form of ``_scalars``."""
    mixed = ids.copy()
    for at, id_ in enumerate(ids):
        for forms, make in _TIMES:
            if isinstance(id_, forms):
                mixed[at] = _scalars(make([id_], name)[1])[0]
    return mixed


def _equals_itself(id_: Any) -> bool:
    try:
        return bool(id_ == id_)
    except (TypeError, ValueError):  # an array: ``_distinct`` refuses it as not hashable
        return True
    except ArithmeticError:  # a decimal's signalling NaN
        return False


def _mismatch(name: str, found: IdTable, known: IdTable) -> DataError:
    return DataError(
        f"{name}: the ids are of kind {found.kind}, such as {found.values[0]!r}, but the known "
        f"ones of kind {known.kind}, such as {known.values[0]!r}: convert them"
    )


def _missing(name: str, row: int, found: Any) -> DataError:
    return DataError(
        f"{name}: the id in row {row} (counted from 0) is missing ({found!r}): "
        "drop such rows, or give them an id"
    )


def _table_of(column: Column) -> IdTable:
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


def _integer_range(column: Column) -> tuple[int, int] | None:
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
        return IdTable(kind, _sorted(set().union(*map(_scalars, values))))
    if kind in (DATETIME, TIMEDELTA):
        values = one_unit(values)
    return IdTable(kind, np.unique(np.concatenate(values)))


def _scalars(values: NDArray[Any]) -> list[Any]:
    """Return Python's numbers, but NumPy's dates: ``tolist`` makes integers of nanoseconds.

    These are in microseconds, if that holds them, as hashes of equal dates must be equal.
    """
    kind = values.dtype.kind
    if kind not in "mM":
        scalars: list[Any] = values.tolist()
        return scalars
    finer, exact = to_unit(values, np.dtype(f"{kind}8[us]"))
    return [a if same else b for a, b, same in zip(finer, values, exact, strict=True)]


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
