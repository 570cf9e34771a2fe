"""A table of factors on a device: rows in groups, each group in one storage."""

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
    """The users' factors, or the items': g groups of rows of k components.

    Attributes
    ----------
    factors
        k.
    stored
        Storage name -> array ``(rows, stride)``. A row has the same place in each; it lives in the
        one its group's code names, and is never touched elsewhere.
    starts
        uint32 ``(g + 1,)``: group j holds rows ``starts[j]`` to ``starts[j + 1] - 1``.
    codes
        uint8 ``(g,)``: the storage of each group's rows (``Storage.code``).
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
        """Return the number of groups (g)."""
        count: int = self.codes.shape[0]
        return count
