"""Convert id tables to arrays for a safetensors file, and back.

Numbers, dates and durations take one array. Strings and bytes take two: all their UTF-8 bytes, and
the end of each id. With one array of fixed width, a single long id would widen all others.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mascot_jax.errors import DataError
from mascot_jax.ids.table import (
    BOOL,
    BYTES,
    DATETIME,
    FLOAT,
    INTEGER,
    OBJECT,
    STRING,
    TIMEDELTA,
    IdTable,
)

_SURROGATES: Final = "surrogatepass"
"""Keeps lone surrogates, which Python strings may hold, such as names of files."""

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
    if ids.kind not in (STRING, BYTES):
        values = ids.values
        return {"ids": values.view(np.int64) if values.dtype.kind in "mM" else values}
    encoded: list[bytes] = ids.values.tolist()
    if ids.kind == STRING:
        encoded = [id_.encode("utf-8", _SURROGATES) for id_ in ids.values]
    ends = np.cumsum(np.fromiter(map(len, encoded), np.uint64, len(encoded)), dtype=np.uint64)
    return {"ids.bytes": np.frombuffer(b"".join(encoded), np.uint8), "ids.ends": ends}


def check_savable(ids: IdTable) -> None:
    """Raise a DataError if the ids are Python objects that no file can hold."""
    if ids.kind == OBJECT:
        raise DataError(
            f"ids such as {ids.values[0]!r} ({type(ids.values[0]).__name__}) can be used, but not "
            "saved: make them strings or integers before fitting"
        )


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
    if kind in (STRING, BYTES):
        table = IdTable(kind, _texts(tensors["ids.bytes"], tensors["ids.ends"], kind == STRING))
    else:
        values = tensors["ids"]
        held = "<i8" if kind in (DATETIME, TIMEDELTA) else dtype
        if not re.fullmatch(_TYPES.get(kind, ""), dtype) or values.dtype.str != held:
            raise ValueError(f"ids of kind {kind:.20} are {values.dtype}, not {dtype:.20}")
        table = IdTable(kind, values.view(dtype))
    if table.values.ndim != 1 or not (table.values[1:] > table.values[:-1]).all():
        raise ValueError("ids are not ascending")
    return table


def _texts(content: NDArray[Any], ends: NDArray[Any], are_strings: bool) -> NDArray[Any]:
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
    if are_strings:
        return np.fromiter((part.decode("utf-8", _SURROGATES) for part in parts), object, len(ends))
    return np.fromiter(parts, object, len(ends))
