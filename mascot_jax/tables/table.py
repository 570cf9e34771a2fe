"""Factor rows on a device, in groups; each group has one storage."""

from __future__ import annotations

import dataclasses
from functools import partial

import jax


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["stored", "starts", "codes"],
    meta_fields=["factors"],
)
@dataclasses.dataclass(frozen=True)
class Table:
    """Factor rows of one side on a device: g groups of rows of k components.

    Attributes
    ----------
    factors
        Components of a row (k).
    stored
        Storage name -> array ``(rows, stride)``. Every array has a place for every row; only the
        place in the storage of the row's group is used, and the others are never touched.
    starts
        uint32 ``(g + 1,)``: group j holds rows ``starts[j]`` to ``starts[j + 1] - 1``.
    codes
        uint8 ``(g,)``: ``Storage.code`` of each group.
    """

    factors: int
    stored: dict[str, jax.Array]
    starts: jax.Array
    codes: jax.Array

    def __len__(self) -> int:
        """Return the number of rows."""
        rows: int = next(iter(self.stored.values())).shape[0]
        return rows

    @property
    def groups(self) -> int:
        """Number of groups (g)."""
        count: int = self.codes.shape[0]
        return count
