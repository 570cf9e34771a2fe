"""Storages: the precisions of factor rows, and the layout of a row in each.

Settings, tables, files and kernels all use the one list ``STORAGES``. The native counterpart of a
storage is a type in ``ffi/core/storages``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

ROW_ALIGNMENT: Final = 64
"""Bytes. Rows start at cache lines: unaligned rows take up to three times as long."""

LANES: Final = 16
"""Components that the CPU kernels process at a time; rows are padded to a multiple."""

WHOLE_ROW: Final = 1 << 20
"""Components of a scale block that covers a row of any length."""


class Storage(NamedTuple):
    """A precision of stored rows; arithmetic is always float32."""

    name: str
    code: int
    """Number of the storage in group tables, as the kernels read it (``ffi/core/storages``).

    All int8 storages share one code: a training uses only one of them.
    """
    dtype: np.dtype[Any]
    scale_block: int = 0
    """Components that share a float32 scale, which is stored in the row; 0 without scales."""
    wider: str | None = None
    """Name of the storage that groups are promoted to; None for the widest."""

    def stride(self, factors: int) -> int:
        """Return the elements from one row to the next: the used ones, padded to 64 bytes."""
        per_line = ROW_ALIGNMENT // self.dtype.itemsize
        return -(-self.elements(factors) // per_line) * per_line

    def elements(self, factors: int) -> int:
        """Return the used elements of a row; in int8, scales follow the padded components."""
        if not self.scale_block:
            return factors
        return padded(factors) + 4 * self.scales(factors)

    def scales(self, factors: int) -> int:
        """Return the number of scales in a row."""
        block = min(self.scale_block, padded(factors))
        return -(-padded(factors) // block) if block else 0

    def row_bytes(self, factors: int) -> int:
        """Return the bytes of a row's components and scales, without padding."""
        return factors * self.dtype.itemsize + 4 * self.scales(factors)

    def decode(self, rows: NDArray[Any], factors: int) -> NDArray[np.float32]:
        """Decode stored rows ``(n, elements)`` or ``(n, stride)`` to float32 ``(n, factors)``."""
        if not self.scale_block:
            return rows[:, :factors].astype(np.float32)
        width, scales = padded(factors), self.scales(factors)
        scale = np.ascontiguousarray(rows[:, width : width + 4 * scales]).view(np.float32)
        block = min(self.scale_block, width)
        return (rows[:, :factors] * np.repeat(scale, block, axis=1)[:, :factors]).astype(np.float32)


def padded(factors: int) -> int:
    """Return the components of a row, padded to a multiple of ``LANES``."""
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
    """Return ``first`` and the storages that its groups are promoted to, in order."""
    return (first,) if first.wider is None else (first, *promotions(STORAGES[first.wider]))


def by_code(names: Iterable[str]) -> dict[int, Storage]:
    """Return the named storages by code; at most one of them may be int8."""
    return {STORAGES[name].code: STORAGES[name] for name in names}
