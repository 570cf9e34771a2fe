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


def parts(size: int, at_a_time: int | None = None) -> Iterator[slice]:
    """Cut ``size`` entries into slices that bound memory, of ``AT_A_TIME`` unless told."""
    step = at_a_time or AT_A_TIME
    for start in range(0, size, step):
        yield slice(start, min(start + step, size))


def count_each(values: NDArray[np.unsignedinteger[Any]], count: int) -> NDArray[np.int64]:
    """Return how often each number below ``count`` occurs, int64 ``(count,)``."""
    counts = np.zeros(count, dtype=np.int64)
    for part in parts(len(values)):
        counts += np.bincount(values[part], minlength=count)
    return counts


def sort_by(*keys: NDArray[np.uint32]) -> NDArray[np.integer[Any]]:
    """Sort entries by their first key, equal ones by the second, and so on.

    Parameters
    ----------
    keys
        uint32 ``(n,)``: keys of the entries, at least one.

    Returns
    -------
    order
        ``(n,)``: numbers of the entries, sorted; those with equal keys in their order. uint32 where
        that holds them.
    """
    size = len(keys[0])
    dtype: type[np.integer[Any]] = np.uint32 if size <= 1 << 32 else np.int64
    order, other = np.arange(size, dtype=dtype), np.empty(size, dtype=dtype)
    for key in reversed(keys):
        for shift in (0, 16):  # the lower half first: sorting by the upper one keeps it
            counts = _count_digits(key, shift)
            if counts.max(initial=0) < size:
                _sort_by_digit(key, shift, counts, order, other)
                order, other = other, order
    return order


def _digits(keys: NDArray[np.uint32], shift: int) -> NDArray[np.uint16]:
    return (keys >> np.uint32(shift) & np.uint32(0xFFFF)).astype(np.uint16)


def _count_digits(keys: NDArray[np.uint32], shift: int) -> NDArray[np.int64]:
    counts = np.zeros(1 << 16, dtype=np.int64)
    for part in parts(len(keys)):
        counts += np.bincount(_digits(keys[part], shift), minlength=1 << 16)
    return counts


def _sort_by_digit(
    keys: NDArray[np.uint32],
    shift: int,
    counts: NDArray[np.int64],
    order: NDArray[np.integer[Any]],
    result: NDArray[np.integer[Any]],
) -> None:
    """Write an order to ``result``, sorted by 16 bits of the keys, which occur so often."""
    place = np.cumsum(counts) - counts  # of the next entry with each digit
    for part in parts(len(order)):
        entries = order[part]
        digit = _digits(keys[entries], shift)
        by_digit = np.argsort(digit, kind="stable")  # 16 bits: NumPy counts, too
        digit = digit[by_digit]
        first = np.flatnonzero(np.append(True, digit[1:] != digit[:-1]))
        lengths = np.diff(first, append=len(digit))
        target = place[digit] + np.arange(len(digit)) - np.repeat(first, lengths)
        result[target] = entries[by_digit]
        place[digit[first]] += lengths


def gather(values: NDArray[Any], order: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """Return ``values[order]`` in memory that JAX takes as it is, without another copy."""
    bytes_ = np.empty(len(order) * values.itemsize + ALIGNMENT, dtype=np.uint8)
    start = -bytes_.ctypes.data % ALIGNMENT
    result = bytes_[start : start + len(order) * values.itemsize].view(values.dtype)
    for part in parts(len(order)):
        result[part] = values[order[part]]
    return result
