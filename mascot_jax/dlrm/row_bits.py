"""Numbers of rows in few bits: a row's place in its field, in as many bits as the field needs.

Row numbers run over all fields (``tiers``); a place in 32 bits would be a tenth of what a worker
sends in INT4.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.dlrm.tiers import Tiers


class RowBits(NamedTuple):
    """The rows of the fields; hashable, static under jit."""

    cardinalities: tuple[int, ...]
    wide: tuple[int, ...]
    """Wide rows of each field, whose numbers come first."""

    @classmethod
    def of(cls, tiers: Tiers) -> RowBits:
        """Return how the rows of these tiers are sent."""
        return cls(tiers.cardinalities, tiers.wide)

    @property
    def widths(self) -> tuple[int, ...]:
        """Bits of a row of each field."""
        return tuple(max(1, (rows - 1).bit_length()) for rows in self.cardinalities)

    def nbytes(self, batch: int) -> int:
        """Return the bytes of a batch's rows."""
        return -(-batch * sum(self.widths) // 8)

    def pack(self, rows: jax.Array) -> jax.Array:
        """Return the numbers of rows, uint32 ``(b, f)``, as uint8 ``(nbytes(b),)``."""
        wide_starts, other_starts, wide = self._starts()
        is_wide = rows < jnp.uint32(sum(self.wide))
        places = jnp.where(is_wide, rows - wide_starts, rows - other_starts + wide)
        fields, shifts = self._bits()
        bits = places[:, fields] >> shifts & jnp.uint32(1)
        return jnp.packbits(bits.astype(jnp.uint8).reshape(-1))

    def unpack(self, packed: jax.Array, batch: int) -> jax.Array:
        """Return the numbers of rows that ``pack`` packed."""
        wide_starts, other_starts, wide = self._starts()
        fields, shifts = self._bits()
        bits = jnp.unpackbits(packed, count=batch * len(fields)).reshape(batch, -1)
        values = (bits.astype(jnp.uint32) << shifts).T
        places = jax.ops.segment_sum(values, fields, len(self.wide), indices_are_sorted=True).T
        is_wide = places < wide
        rows: jax.Array = jnp.where(is_wide, places + wide_starts, places - wide + other_starts)
        return rows

    def _starts(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32]]:
        """Return the fields' first wide and first other rows, and numbers of wide rows."""
        wide_starts, other_starts = Tiers.first(self.cardinalities, self.wide).starts
        wide = np.array([self.wide], np.uint32)
        return wide_starts.astype(np.uint32)[None], other_starts.astype(np.uint32)[None], wide

    def _bits(self) -> tuple[NDArray[np.int32], NDArray[np.uint32]]:
        """Return each bit's field, ``(bits,)``, and its place in the row's place, ``(1, bits)``."""
        fields = np.repeat(np.arange(len(self.widths), dtype=np.int32), self.widths)
        shifts = np.concatenate([np.arange(n, dtype=np.uint32) for n in self.widths])
        return fields, shifts[None]
