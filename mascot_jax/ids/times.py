"""Dates and durations as ids: any of Python's, pandas' and NumPy's forms, as NumPy's arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mascot_jax.errors import DataError

_MOST: Final = timedelta(microseconds=2**63 - 1)
"""Longer durations NumPy wraps around without a word."""


def as_dates(ids: Iterable[Any], name: str) -> NDArray[Any]:
    """Return dates, datetimes, timestamps or NumPy's as an array of the finest of their units.

    Datetimes with a time zone are in UTC.

    Raises
    ------
    DataError
        No unit holds them all, or only some have a time zone; ``name`` is the ids' in the message.
    """
    dates = list(ids)
    aware = [isinstance(d, datetime) and d.utcoffset() is not None for d in dates]
    if any(aware) and not all(aware):
        raise DataError(
            f"{name}: only some of the dates have a time zone, such as "
            f"{dates[aware.index(True)]!r}: give it to all, or to none"
        )
    return _array([_as_date(d) for d in dates], name)


def as_durations(ids: Iterable[Any], name: str) -> NDArray[Any]:
    """Return Python's, pandas' or NumPy's durations as an array of the finest of their units.

    Raises
    ------
    DataError
        No unit holds them all; ``name`` is the ids' in the message.
    """
    durations = list(ids)
    far = [d for d in durations if isinstance(d, timedelta) and abs(d) > _MOST]
    if far:
        raise _no_unit(f"{name}: {far[0]!r}", np.empty(0, "m8[us]"))
    return _array([_converted(d, "to_timedelta64", np.timedelta64) for d in durations], name)


def _as_date(value: Any) -> np.datetime64:
    if isinstance(value, datetime) and value.utcoffset() is not None:
        if hasattr(value, "to_datetime64"):  # pandas' in UTC
            return value.to_datetime64()  # type: ignore[no-any-return]
        value = value.astimezone(UTC).replace(tzinfo=None)
    return _converted(value, "to_datetime64", np.datetime64)  # type: ignore[no-any-return]


def _converted(value: Any, method: str, make: Callable[[Any], Any]) -> Any:
    return getattr(value, method)() if hasattr(value, method) else make(value)


def _array(values: list[Any], name: str) -> NDArray[Any]:
    """Return scalars as one array; NumPy would wrap those around that its unit cannot hold."""
    array = np.array(values)
    wrapped = [a for a, b in zip(values, array, strict=True) if to_unit(b, a.dtype)[0] != a]
    if wrapped:
        raise _no_unit(f"{name}: {wrapped[0]}", array)
    return array


def one_unit(arrays: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """Return arrays of dates, or of durations, in the finest of their units.

    Raises
    ------
    DataError
        No unit holds them all.
    """
    unit = np.result_type(*arrays)
    converted = [to_unit(array, unit) for array in arrays]
    for array, (_, exact) in zip(arrays, converted, strict=True):
        if not exact.all():
            raise _no_unit(str(array[~exact][0]), np.empty(0, unit))
    return [array for array, _ in converted]


def to_unit(ids: NDArray[Any], unit: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return ids in another unit, and bool ``(n,)``: which ones it holds exactly.

    A comparison across units would convert first, and wrap both around.
    """
    converted = ids.astype(unit)
    return converted, converted.astype(ids.dtype) == ids


def _no_unit(what: str, array: NDArray[Any]) -> DataError:
    return DataError(
        f"{what} is too far for the finest unit of the ids ({array.dtype}): give all in one unit, "
        "such as microseconds"
    )
