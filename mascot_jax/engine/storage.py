"""The precisions a factor row can be stored in, and how a table of them is laid out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.settings import TrainSettings
from mascot_jax.settings.presets import Switching

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
    """What group tables hold and the native kernel reads (``ffi/core/groups.h``).

    A group is promoted to a lower code. The storages of int8 share one: a training uses one of
    them.
    """
    dtype: jnp.dtype
    scale_block: int = 0
    """Components that share a float32 scale, which is stored in the row; 0 where there are none."""

    def stride(self, factors: int) -> int:
        """Return the elements from one row to the next: what is in use, padded to 64 bytes."""
        per_line = ROW_ALIGNMENT // self.dtype.itemsize
        return -(-self.elements(factors) // per_line) * per_line

    def elements(self, factors: int) -> int:
        """Return the elements of a row that hold something: int8 has its scales behind the rest."""
        if not self.scale_block:
            return factors
        return _padded(factors) + 4 * self.scales(factors)

    def scales(self, factors: int) -> int:
        """Return the number of scales in a row."""
        block = min(self.scale_block, _padded(factors))
        return -(-_padded(factors) // block) if block else 0

    def row_bytes(self, factors: int) -> int:
        """Return the bytes of a row that carry information: components, and scales."""
        return factors * self.dtype.itemsize + 4 * self.scales(factors)

    def encode(self, values: jax.Array) -> jax.Array:
        """Return float32 ``(n, factors)`` as stored rows ``(n, elements)``, rounded to nearest.

        Int8 as in ``ffi/core/kernel_codec.h``.
        """
        if not self.scale_block:
            return values.astype(self.dtype)
        rows, factors = values.shape
        padded, scales = _padded(factors), self.scales(factors)
        block = min(self.scale_block, padded)
        blocks = jnp.pad(values, ((0, 0), (0, scales * block - factors)))
        blocks = blocks.reshape(rows, scales, block)  # [n, k] -> [n, scales, block]
        bits = jax.lax.bitcast_convert_type(jnp.abs(blocks).max(axis=2) / 127, jnp.uint32)
        scale = jax.lax.bitcast_convert_type((bits + 0x40) & ~jnp.uint32(0x7F), jnp.float32)
        steps = jnp.where(scale > 0, 1 / scale, jnp.float32(0))[:, :, None]
        whole = (
            jnp.rint(blocks * steps).astype(self.dtype).reshape(rows, scales * block)[:, :padded]
        )
        tail = jax.lax.bitcast_convert_type(scale, self.dtype).reshape(rows, 4 * scales)
        return jnp.concatenate([whole, tail], axis=1)

    def decode(self, rows: NDArray[Any], factors: int) -> NDArray[np.float32]:
        """Return stored rows ``(n, elements)`` or ``(n, stride)`` as float32 ``(n, factors)``."""
        if not self.scale_block:
            return rows[:, :factors].astype(np.float32)
        padded, scales = _padded(factors), self.scales(factors)
        scale = np.ascontiguousarray(rows[:, padded : padded + 4 * scales]).view(np.float32)
        block = min(self.scale_block, padded)
        return (rows[:, :factors] * np.repeat(scale, block, axis=1)[:, :factors]).astype(np.float32)


def _padded(factors: int) -> int:
    return -(-factors // LANES) * LANES


_INT8 = jnp.dtype(jnp.int8)

FLOAT32: Final = Storage("float32", 0, jnp.dtype(jnp.float32))
FLOAT16: Final = Storage("float16", 1, jnp.dtype(jnp.float16))
INT8: Final = (
    Storage("int8-16", 2, _INT8, 16),
    Storage("int8-32", 2, _INT8, 32),
    Storage("int8-64", 2, _INT8, 64),
    Storage("int8-row", 2, _INT8, WHOLE_ROW),
)
"""By the components that share a scale."""

STORAGES: Final[dict[str, Storage]] = {s.name: s for s in (FLOAT32, FLOAT16, *INT8)}

Tables = dict[str, jax.Array]
"""Storage name -> factor table [rows, stride]; a row has the same index in each."""


def storages_of(settings: TrainSettings) -> tuple[Storage, ...]:
    """Return what rows may be stored in: at the start, then what they may be promoted to."""
    first = STORAGES[settings.storage or FLOAT32.name]
    promotes = settings.switching is not Switching.NONE
    return first, *((FLOAT16, FLOAT32)[2 - first.code :] if promotes else ())


def by_code(tables: Iterable[str]) -> dict[int, Storage]:
    """Return the storages of these names by their codes; at most one of them is of int8."""
    return {STORAGES[name].code: STORAGES[name] for name in tables}
