"""Counting, sorting by it and gathering, in little more memory than what they return.

NumPy's ``bincount`` and ``argsort`` make 8 bytes of every entry; with ratings by the hundred
million that is more than the ratings themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

AT_A_TIME: Final = 1 << 20
"""Entries; bounds memory to some 40 MiB."""

ALIGNMENT: Final = 64
"""Bytes: JAX shares the memory of an array that begins at a multiple of it."""


def parts(size: int) -> Iterator[slice]:
    """Cut ``size`` entries into slices that bound memory."""
    for start in range(0, size, AT_A_TIME):
        yield slice(start, min(start + AT_A_TIME, size))


def count_each(values: NDArray[np.unsignedinteger[Any]], count: int) -> NDArray[np.int64]:
    """Return how often each number below ``count`` occurs, int64 ``(count,)``."""
    counts = np.zeros(count, dtype=np.int64)
    for part in parts(len(values)):
        counts += np.bincount(values[part], minlength=count)
    return counts


def sort_by(
    keys: NDArray[np.unsignedinteger[Any]], order: NDArray[np.integer[Any]] | None = None
) -> NDArray[np.integer[Any]]:
    """Sort entries by a key that each has; those with equal keys stay in the order they were in.

    Parameters
    ----------
    keys
        uint16 or uint32 ``(n,)``: the key of each entry.
    order
        ``(n,)``: numbers of the entries in their present order; None for 0, 1, 2 and so on.

    Returns
    -------
    order
        ``(n,)``: numbers of the entries, sorted; uint32 where that holds them.
    """
    order = _sort_by_digit(_digits(keys, 0), order)
    if keys.dtype.itemsize > 2:  # the lower half first: sorting by the upper one keeps it
        digits = _digits(keys, 16)
        if (digits != digits[:1]).any():
            order = _sort_by_digit(digits, order)
    return order


def _digits(keys: NDArray[np.unsignedinteger[Any]], shift: int) -> NDArray[np.uint16]:
    if keys.dtype == np.uint16:
        return keys.astype(np.uint16, copy=False)
    digits = np.empty(len(keys), dtype=np.uint16)
    for part in parts(len(keys)):
        digits[part] = keys[part] >> np.uint32(shift) & np.uint32(0xFFFF)
    return digits


def _sort_by_digit(
    digits: NDArray[np.uint16], order: NDArray[np.integer[Any]] | None
) -> NDArray[np.integer[Any]]:
    dtype: type[np.integer[Any]] = np.uint32 if len(digits) <= 1 << 32 else np.int64
    result = np.empty(len(digits), dtype=dtype)
    counts = count_each(digits, 1 << 16)
    place = np.cumsum(counts) - counts  # of the next entry with each digit
    for part in parts(len(digits)):
        entries = np.arange(part.start, part.stop) if order is None else order[part]
        digit = digits[entries]
        by_digit = np.argsort(digit, kind="stable")  # 16 bits: NumPy counts, too
        digit = digit[by_digit]
        first = np.flatnonzero(np.append(True, digit[1:] != digit[:-1]))
        lengths = np.diff(first, append=len(digit))
        target = place[digit] + np.arange(len(digit)) - np.repeat(first, lengths)
        result[target] = entries[by_digit]
        place[digit[first]] += lengths
    return result


def gather(values: NDArray[Any], order: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """Return ``values[order]`` in memory that JAX takes as it is, without another copy."""
    bytes_ = np.empty(len(order) * values.itemsize + ALIGNMENT, dtype=np.uint8)
    start = -bytes_.ctypes.data % ALIGNMENT
    result = bytes_[start : start + len(order) * values.itemsize].view(values.dtype)
    for part in parts(len(order)):
        result[part] = values[order[part]]
    return result
