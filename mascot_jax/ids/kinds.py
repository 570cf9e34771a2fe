"""Kinds of ids, and what makes one kind and one array of ids in any form."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from mascot_jax.errors import DataError
from mascot_jax.ids.times import as_dates, as_durations, to_unit

INTEGER, FLOAT, BOOL = "integer", "float", "bool"
STRING, BYTES, UUIDS, OBJECT = "string", "bytes", "uuid", "object"
DATETIME, TIMEDELTA = "datetime", "timedelta"

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
    """Return objects with the dates and durations among them in the form of ``as_scalars``."""
    mixed = ids.copy()
    for at, id_ in enumerate(ids):
        for forms, make in _TIMES:
            if isinstance(id_, forms):
                mixed[at] = as_scalars(make([id_], name)[1])[0]
    return mixed


def _equals_itself(id_: Any) -> bool:
    try:
        return bool(id_ == id_)
    except (TypeError, ValueError):  # an array: ``_distinct`` refuses it as not hashable
        return True
    except ArithmeticError:  # a decimal's signalling NaN
        return False


def _missing(name: str, row: int, found: Any) -> DataError:
    return DataError(
        f"{name}: the id in row {row} (counted from 0) is missing ({found!r}): "
        "drop such rows, or give them an id"
    )


def as_scalars(values: NDArray[Any]) -> list[Any]:
    """Return Python's numbers, but NumPy's dates: ``tolist`` makes integers of nanoseconds.

    These are in microseconds, if that holds them, as hashes of equal dates must be equal.
    """
    kind = values.dtype.kind
    if kind not in "mM":
        scalars: list[Any] = values.tolist()
        return scalars
    finer, exact = to_unit(values, np.dtype(f"{kind}8[us]"))
    return [a if same else b for a, b, same in zip(finer, values, exact, strict=True)]
