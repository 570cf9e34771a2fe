"""Count, sort and gather in little more memory than the result needs.

NumPy's ``bincount`` and ``argsort`` use 8 bytes per entry. For hundreds of millions of ratings,
that is more than the ratings themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

AT_A_TIME: Final = 1 << 20
"""Entries processed at a time; bounds temporary memory to some 40 MiB."""

ALIGNMENT: Final = 64
"""Alignment in bytes at which JAX shares an array's memory instead of copying it."""


def parts(size: int, at_a_time: int | None = None) -> Iterator[slice]:
    """Yield slices of ``at_a_time`` entries that cover ``size``; None: of ``AT_A_TIME``."""
    step = at_a_time or AT_A_TIME
    for start in range(0, size, step):
        yield slice(start, min(start + step, size))


def numbers(size: int) -> NDArray[np.integer[Any]]:
    """Return the numbers below ``size``, ascending: uint32 if they all fit, else int64."""
    return np.arange(size, dtype=np.uint32 if size <= 1 << 32 else np.int64)


def random_order(size: int, seed: int) -> NDArray[np.integer[Any]]:
    """Return the ``numbers`` below ``size``, ``(size,)``, in the random order of a seed.

    Folds follow it, so that the library, the command and the pipeline have the same ones.
    """
    order = numbers(size)
    np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed))).shuffle(order)
    return order


def count_each(values: NDArray[np.unsignedinteger[Any]], count: int) -> NDArray[np.int64]:
    """Count the occurrences of each integer below ``count``, int64 ``(count,)``."""
    counts = np.zeros(count, dtype=np.int64)
    for part in parts(len(values)):
        counts += np.bincount(values[part], minlength=count)
    return counts


def mean_of(size: int, values: Callable[[slice], NDArray[np.float32]]) -> float:
    """Return the mean of numbers ``(size,)``, the same as NumPy's in float64 of all at once.

    ``values`` returns those of a slice. NumPy adds up 8192 at a time, so parts change nothing.
    """
    total = np.float64(0)
    for part in parts(size):
        total = np.add.reduce(values(part), dtype=np.float64, initial=total)
    return float(total / size)


def where(size: int, chosen: Callable[[slice], NDArray[np.bool_]]) -> NDArray[np.int64]:
    """Return the numbers below ``size`` that are chosen, int64 ``(m,)``, ascending.

    ``chosen`` returns bool ``(n,)`` for a slice of n numbers.
    """
    found = [part.start + np.flatnonzero(chosen(part)) for part in parts(size)]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


def smallest(values: NDArray[np.float32], ranks: Sequence[int]) -> list[float]:
    """Return the values that would stand at these ranks, from 0, if float32 ``(n,)`` were sorted.

    They are counted by the upper half of their bits, then by the lower half. None may be NaN.
    """
    upper, found = np.zeros(1 << 16, dtype=np.int64), []
    for part in parts(len(values)):
        upper += np.bincount(_ordered(values[part]) >> 16, minlength=1 << 16)
    ends = np.cumsum(upper)
    for rank in ranks:
        digit = int(np.searchsorted(ends, rank, side="right"))
        lower = np.zeros(1 << 16, dtype=np.int64)
        for part in parts(len(values)):
            bits = _ordered(values[part])
            lower += np.bincount(bits[bits >> 16 == digit] & 0xFFFF, minlength=1 << 16)
        rest = rank - int(ends[digit] - upper[digit])
        low = int(np.searchsorted(np.cumsum(lower), rest, side="right"))
        found.append(_value(digit << 16 | low))
    return found


def _ordered(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Return the bits of floats, changed so that they are in the order of the values."""
    bits = (values + np.float32(0)).view(np.uint32)  # -0 becomes 0
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))


def _value(ordered: int) -> float:
    bits = ordered & 0x7FFF_FFFF if ordered >> 31 else ~ordered & 0xFFFF_FFFF
    return float(np.array(bits, dtype=np.uint32).view(np.float32))


def sort_by(*keys: NDArray[np.uint32]) -> NDArray[np.integer[Any]]:
    """Return the stable order of entries by their first key, then by the second, and so on.

    Parameters
    ----------
    keys
        uint32 ``(n,)`` each; at least one.

    Returns
    -------
    order
        ``(n,)``: indices of the entries, sorted; uint32 if n is at most 2^32, else int64.
    """
    size = len(keys[0])
    order = numbers(size)
    other = np.empty_like(order)
    for key in reversed(keys):
        for shift in (0, 16):  # lower half first: the sort by the upper half is stable
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
    """Write ``order`` to ``result``, stably sorted by one 16-bit digit of the keys.

    ``counts`` is int64 ``(2^16,)``: occurrences of each digit.
    """
    place = np.cumsum(counts) - counts  # where the next entry with each digit goes
    for part in parts(len(order)):
        entries = order[part]
        digit = _digits(keys[entries], shift)
        by_digit = np.argsort(digit, kind="stable")  # a radix sort, as digits have 16 bits
        digit = digit[by_digit]
        first = np.flatnonzero(np.append(True, digit[1:] != digit[:-1]))
        lengths = np.diff(first, append=len(digit))
        target = place[digit] + np.arange(len(digit)) - np.repeat(first, lengths)
        result[target] = entries[by_digit]
        place[digit[first]] += lengths


def aligned_zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return zeros at an aligned address; pages that are never written cost no memory."""
    size = math.prod(shape) * dtype.itemsize
    bytes_ = np.zeros(size + ALIGNMENT, dtype=np.uint8)
    start = -bytes_.ctypes.data % ALIGNMENT
    return bytes_[start : start + size].view(dtype).reshape(shape)


def gather(values: NDArray[Any], order: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """Return ``values[order]`` in aligned memory, which JAX uses without a copy."""
    result = aligned_zeros((len(order),), values.dtype)
    for part in parts(len(order)):
        result[part] = values[order[part]]
    return result
