"""Convert one or many ids, as callers pass them, to columns, arrays and indices."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from mascot_jax.errors import DataError
from mascot_jax.ids.column import Column
from mascot_jax.ids.kinds import OBJECT
from mascot_jax.ids.table import IdTable


def as_column(values: Any, name: str) -> Column:
    """Return an array, list or series as a column.

    Raises
    ------
    DataError
        ``values`` does not have exactly one dimension.
    """
    if str(getattr(values, "type", "")) == "extension<arrow.uuid>":
        values = values.to_pylist()  # as an array they would be bytes
    series = nw.from_native(values, series_only=True, pass_through=True)
    if isinstance(series, nw.Series):
        return Column(name, len(series), lambda part: _to_numpy(series[part]))
    if isinstance(values, np.ma.MaskedArray):
        return _masked_column(values, name)
    if isinstance(values, list | tuple | range):
        # np.asarray would turn the numbers in a list of numbers and strings into strings.
        array: NDArray[Any] = np.fromiter(values, dtype=object, count=len(values))
    else:
        array = np.asarray(values)
    if array.ndim != 1:
        raise DataError(f"{name}: must have one dimension, not the shape {array.shape}")
    return Column(name, len(array), array.__getitem__)


def _masked_column(values: np.ma.MaskedArray[Any, Any], name: str) -> Column:
    if values.ndim != 1:
        raise DataError(f"{name}: must have one dimension, not the shape {values.shape}")
    return Column(name, len(values), lambda part: _unmasked(values[part]))


def _unmasked(values: np.ma.MaskedArray[Any, Any]) -> NDArray[Any]:
    """Return a masked array as an array, with None, NaN or NaT for masked values."""
    mask = np.ma.getmaskarray(values)
    if not mask.any():
        return np.asarray(values.data)
    plain = values.data.astype(values.dtype if values.dtype.kind in "fmM" else object)
    plain[mask] = {"f": np.nan, "m": "NaT", "M": "NaT"}.get(plain.dtype.kind)
    return plain


def _to_numpy(series: nw.Series[Any]) -> NDArray[Any]:
    """Return a series as an array, with None for missing values."""
    if series.is_null().any():
        return np.fromiter(series.to_list(), dtype=object, count=len(series))
    return series.to_numpy()


def is_one_id(values: Any, *, tuples: bool) -> bool:
    """Return whether ``values`` is a single id; with ``tuples``, a tuple can be an id."""
    if isinstance(values, tuple):
        return tuples
    if isinstance(values, list | range):
        return False
    if isinstance(values, np.ndarray):
        return values.ndim == 0
    if isinstance(values, np.generic):
        return True
    series = nw.from_native(values, series_only=True, pass_through=True)
    return not isinstance(series, nw.Series) and not hasattr(values, "__array__")


def as_ids(values: Any, name: str, *, tuples: bool = False) -> NDArray[Any]:
    """Return one or several ids as an array; the array of a single id has no dimensions.

    Parameters
    ----------
    values
        An id, or a list, array or series of ids; an array may have any number of dimensions.
    name
        Name of the ids in messages.
    tuples
        A tuple is one id, not several.
    """
    if is_one_id(values, tuples=tuples):
        if isinstance(values, np.ndarray | np.generic | int | float):
            return np.asarray(values)
        array = np.empty((), dtype=object)
        array[()] = values
        return array
    if isinstance(values, np.ma.MaskedArray):
        return _unmasked(values)
    if isinstance(values, np.ndarray):
        return values
    return as_column(values, name).read(slice(None))


def known_ids(table: IdTable, values: Any, name: str) -> NDArray[np.uint32] | None:
    """Return the indices of the ids that are in the table, uint32 ``(n,)``; None for None."""
    if values is None:
        return None
    indices = np.atleast_1d(encode_ids(table, values, name))
    return indices[indices >= 0].astype(np.uint32)


def encode_ids(table: IdTable, values: Any, name: str) -> NDArray[np.int64]:
    """Return the index of each id, -1 if unknown, in the shape of ``values``."""
    ids = as_ids(values, name, tuples=table.kind == OBJECT)
    return table.encode(ids.reshape(-1), name).reshape(ids.shape)
