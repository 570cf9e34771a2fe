"""Factor rows on a device, in groups; each group has one storage."""

from __future__ import annotations

import dataclasses
from functools import partial

import jax
import numpy as np


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
        Storage name -> array ``(places, stride)``. Every array has a place for every row; only the
        place in the storage of the row's group is used, and the others are never touched. On a CPU
        there are more places than rows (``engine.padding``).
    starts
        uint32 ``(g + 1,)``: group j holds rows ``starts[j]`` to ``starts[j + 1] - 1``. On a CPU
        groups without rows follow.
    codes
        uint8 ``(g,)``: ``Storage.code`` of each group.
    """

    factors: int
    stored: dict[str, jax.Array]
    starts: jax.Array
    codes: jax.Array

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(np.asarray(self.starts)[-1])

    @property
    def groups(self) -> int:
        """Number of groups (g), those without rows included."""
        count: int = self.codes.shape[0]
        return count
