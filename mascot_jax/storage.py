"""The precisions a factor row can be stored in, and how a table of them is laid out."""

from __future__ import annotations

from typing import Final, NamedTuple

import jax
import jax.numpy as jnp

ROW_ALIGNMENT: Final = 64
"""Bytes: rows begin at cache-line boundaries; an unaligned row costs up to three times the time."""


class Storage(NamedTuple):
    """A precision of stored rows; arithmetic is always float32."""

    name: str
    code: int
    """What group tables hold and the native kernel reads (``ffi/core/groups.h``)."""
    dtype: jnp.dtype

    def stride(self, factors: int) -> int:
        """Return the elements from one row to the next: ``factors`` padded to 64 bytes."""
        per_line = ROW_ALIGNMENT // self.dtype.itemsize
        return -(-factors // per_line) * per_line


FLOAT32: Final = Storage("float32", 0, jnp.dtype(jnp.float32))
FLOAT16: Final = Storage("float16", 1, jnp.dtype(jnp.float16))

STORAGES: Final[dict[str, Storage]] = {s.name: s for s in (FLOAT32, FLOAT16)}
BY_CODE: Final[dict[int, Storage]] = {s.code: s for s in STORAGES.values()}

Tables = dict[str, jax.Array]
"""Storage name -> factor table [rows, stride]; a row has the same index in each."""
