"""The precisions that a factor row can be stored in, and how a row of each is laid out.

One list, ``STORAGES``, says which there are: settings, tables, files and kernels go by it. The
native twin of a storage is a type in ``ffi/core/storages``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

ROW_ALIGNMENT: Final = 64
"""Bytes: rows begin at cache-line boundaries; an unaligned row costs up to three times the time."""

LANES: Final = 16
"""Components that the CPU's kernels handle at a time; rows are padded to a multiple of it."""

WHOLE_ROW: Final = 1 << 20
"""A block of at least as many components as any row has."""


class Storage(NamedTuple):
    """A precision of stored rows; arithmetic is always float32."""

    name: str
    code: int
    """What group tables hold and the native kernel reads (``ffi/core/storages``).

    The storages of int8 share one: a training uses one of them.
    """
    dtype: np.dtype[Any]
    scale_block: int = 0
    """Components that share a float32 scale, which is stored in the row; 0 where there are none."""
    wider: str | None = None
    """The storage that a group of this one is promoted to; None for the widest."""

    def stride(self, factors: int) -> int:
        """Return the elements from one row to the next: what is in use, padded to 64 bytes."""
        per_line = ROW_ALIGNMENT // self.dtype.itemsize
        return -(-self.elements(factors) // per_line) * per_line

    def elements(self, factors: int) -> int:
        """Return the elements of a row that hold something: int8 has its scales behind the rest."""
        if not self.scale_block:
            return factors
        return padded(factors) + 4 * self.scales(factors)

    def scales(self, factors: int) -> int:
        """Return the number of scales in a row."""
        block = min(self.scale_block, padded(factors))
        return -(-padded(factors) // block) if block else 0

    def row_bytes(self, factors: int) -> int:
        """Return the bytes of a row that carry information: components, and scales."""
        return factors * self.dtype.itemsize + 4 * self.scales(factors)

    def decode(self, rows: NDArray[Any], factors: int) -> NDArray[np.float32]:
        """Return stored rows ``(n, elements)`` or ``(n, stride)`` as float32 ``(n, factors)``."""
        if not self.scale_block:
            return rows[:, :factors].astype(np.float32)
        width, scales = padded(factors), self.scales(factors)
        scale = np.ascontiguousarray(rows[:, width : width + 4 * scales]).view(np.float32)
        block = min(self.scale_block, width)
        return (rows[:, :factors] * np.repeat(scale, block, axis=1)[:, :factors]).astype(np.float32)


def padded(factors: int) -> int:
    """Return the components of a row, padded to whole vectors."""
    return -(-factors // LANES) * LANES


_FLOAT16, _INT8 = np.dtype(np.float16), np.dtype(np.int8)

FLOAT32: Final = Storage("float32", 0, np.dtype(np.float32))
FLOAT16: Final = Storage("float16", 1, _FLOAT16, wider="float32")
_ALL: Final = (
    FLOAT32,
    FLOAT16,
    Storage("int8-16", 2, _INT8, 16, "float16"),
    Storage("int8-32", 2, _INT8, 32, "float16"),
    Storage("int8-64", 2, _INT8, 64, "float16"),
    Storage("int8-row", 2, _INT8, WHOLE_ROW, "float16"),
)
STORAGES: Final[dict[str, Storage]] = {storage.name: storage for storage in _ALL}


def promotions(first: Storage) -> tuple[Storage, ...]:
    """Return a storage, and those that its groups are promoted to, one after the other."""
    return (first,) if first.wider is None else (first, *promotions(STORAGES[first.wider]))


def by_code(names: Iterable[str]) -> dict[int, Storage]:
    """Return the storages of these names by their codes; at most one of them is of int8."""
    return {STORAGES[name].code: STORAGES[name] for name in names}
