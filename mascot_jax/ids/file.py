"""Convert id tables to arrays for a safetensors file, and back.

Numbers, dates and durations take one array. Strings, bytes and UUIDs take two: all their bytes (of
strings in UTF-8), and the end of each id. With one array of fixed width, a single long id would
widen all others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.warn import warn_caller
from mascot_jax.errors import DataError, UnsavableIdsWarning
from mascot_jax.ids.kinds import (
    BOOL,
    BYTES,
    DATETIME,
    FLOAT,
    INTEGER,
    OBJECT,
    STRING,
    TIMEDELTA,
    UUIDS,
)
from mascot_jax.ids.table import IdTable

_SURROGATES: Final = "surrogatepass"
"""Keeps lone surrogates, which Python strings may hold, such as names of files."""

_CODECS: Final[Mapping[str, tuple[Callable[[Any], bytes], Callable[[bytes], Any]]]] = {
    STRING: (
        lambda id_: id_.encode("utf-8", _SURROGATES),
        lambda b: b.decode("utf-8", _SURROGATES),
    ),
    BYTES: (bytes, bytes),
    UUIDS: (lambda id_: id_.bytes, lambda b: UUID(bytes=b)),
}
"""Kind of ids -> functions to bytes and back."""

_UNIT: Final = r"8\[\d{0,9}(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\]"
_TYPES: Final = {
    INTEGER: "<[iu]8",
    FLOAT: "<f8",
    BOOL: r"\|b1",
    DATETIME: f"<M{_UNIT}",
    TIMEDELTA: f"<m{_UNIT}",
}
"""Kind of ids -> pattern of NumPy's names of its dtypes."""


def ids_to_tensors(ids: IdTable) -> dict[str, NDArray[Any]]:
    """Convert the ids of a table to arrays of dtypes that safetensors has.

    Raises
    ------
    DataError
        The ids are Python objects that no file can hold.
    """
    check_savable(ids)
    if ids.kind not in _CODECS:
        values = ids.values
        return {"ids": values.view(np.int64) if values.dtype.kind in "mM" else values}
    encoded = list(map(_CODECS[ids.kind][0], ids.values))
    ends = np.cumsum(np.fromiter(map(len, encoded), np.uint64, len(encoded)), dtype=np.uint64)
    return {"ids.bytes": np.frombuffer(b"".join(encoded), np.uint8), "ids.ends": ends}


def check_savable(ids: IdTable) -> None:
    """Raise a DataError if the ids are Python objects that no file can hold."""
    if ids.kind == OBJECT:
        raise DataError(_unsavable(ids))


def warn_unsavable(ids: IdTable, name: str) -> None:
    """Warn, before a training, if its model can be used but not saved.

    Parameters
    ----------
    ids, name
        The ids, and whose they are: ``user`` or ``item``.
    """
    if ids.kind == OBJECT:
        warn_caller(f"{name}: {_unsavable(ids)}", UnsavableIdsWarning)


def _unsavable(ids: IdTable) -> str:
    remedy = "can be used, but not saved: make them strings or integers before fitting"
    values = ids.values.tolist()
    if all(isinstance(id_, int | np.integer) for id_ in values):
        far = max(values, key=abs)
        return f"integers that no 64-bit type holds, such as {far!r}, {remedy}"
    first = {type(id_).__name__: id_ for id_ in reversed(values)}
    if len(first) == 1:
        return f"ids such as {values[0]!r} ({type(values[0]).__name__}) {remedy}"
    examples = " and ".join(f"{id_!r} ({kind})" for kind, id_ in sorted(first.items())[:2])
    return f"ids of several types, such as {examples}, {remedy}"


def ids_from_tensors(tensors: dict[str, NDArray[Any]], kind: str, dtype: str) -> IdTable:
    """Restore a table from its arrays.

    Parameters
    ----------
    tensors
        The arrays from ``ids_to_tensors``; may hold others, too.
    kind, dtype
        Kind of the table, and NumPy's name of the dtype of its values.

    Raises
    ------
    ValueError
        The arrays are not ascending ids of that kind.
    KeyError
        An array is missing.
    """
    if kind in _CODECS:
        table = IdTable(kind, _objects(tensors["ids.bytes"], tensors["ids.ends"], kind))
    else:
        values = tensors["ids"]
        held = "<i8" if kind in (DATETIME, TIMEDELTA) else dtype
        if not re.fullmatch(_TYPES.get(kind, ""), dtype) or values.dtype.str != held:
            raise ValueError(f"ids of kind {kind:.20} are {values.dtype}, not {dtype:.20}")
        table = IdTable(kind, values.view(dtype))
    if table.values.ndim != 1 or not (table.values[1:] > table.values[:-1]).all():
        raise ValueError("ids are not ascending")
    return table


def _objects(content: NDArray[Any], ends: NDArray[Any], kind: str) -> NDArray[Any]:
    borders = np.append(np.uint64(0), ends)
    if not (
        content.dtype == np.uint8
        and ends.dtype == np.uint64
        and content.ndim == ends.ndim == 1
        and (borders[1:] >= borders[:-1]).all()
        and borders[-1] == len(content)
    ):
        raise ValueError("the table of ids is damaged")
    text = content.tobytes()
    parts = (text[a:b] for a, b in pairwise(borders.tolist()))
    return np.fromiter(map(_CODECS[kind][1], parts), object, len(ends))
