"""A table of factors on the host: live rows only, unpadded, in the storage that each is in."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts
from mascot_jax.tables.groups import check_groups
from mascot_jax.tables.storage import STORAGES, Storage, by_code

AT_A_TIME: Final = 16_384
"""Rows; bounds the memory of converting them: 8 MiB of float32 at k = 128."""


@dataclasses.dataclass(frozen=True)
class Rows:
    """The users' factors, or the items': g groups of rows of k components.

    Attributes
    ----------
    factors
        k.
    stored
        Storage name -> rows ``(live rows, elements)``, in the order of the table.
    starts
        uint32 ``(g + 1,)``: group j holds rows ``starts[j]`` to ``starts[j + 1] - 1``.
    codes
        uint8 ``(g,)``: the storage of each group's rows (``Storage.code``).
    """

    factors: int
    stored: dict[str, NDArray[Any]]
    starts: NDArray[np.uint32]
    codes: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.starts[-1])

    @property
    def nbytes(self) -> int:
        """Return the bytes of all rows."""
        return sum(rows.nbytes for rows in self.stored.values())

    def check(self, name: str) -> None:
        """Check what the kernels trust; ``name`` is what messages call the table.

        Raises
        ------
        ValueError
            If groups do not cover the rows, or rows are not what their storage says.
        """
        check_groups(self.starts, self.codes, name)
        unknown = set(self.stored) - set(STORAGES)
        storages = by_code(set(self.stored) - unknown)
        if unknown or not set(self.codes.tolist()) <= set(storages):
            raise ValueError(f"{name}: groups are in a storage that the file does not hold")
        if len(storages) != len(self.stored):
            raise ValueError(f"{name}: {sorted(self.stored)} cannot be in one table")
        for storage in storages.values():
            rows = self.stored[storage.name]
            wanted = int(self.in_storage(storage).sum()), storage.elements(self.factors)
            if rows.dtype != storage.dtype or rows.shape != wanted:
                raise ValueError(f"{name}: {storage.name} factors are {rows.dtype} {rows.shape}")

    def in_storage(self, storage: Storage) -> NDArray[np.bool_]:
        """Return bool ``(rows,)``: the rows in ``storage``."""
        return np.repeat(self.codes == storage.code, np.diff(self.starts))

    def dense(self, rows: NDArray[np.integer[Any]] | None = None) -> NDArray[np.float32]:
        """Decode rows ``(n,)``, all of them if None, to float32 ``(n, k)``."""
        wanted = np.arange(len(self)) if rows is None else rows
        dense = np.empty((len(wanted), self.factors), dtype=np.float32)
        for name, stored in self.stored.items():
            places = self._places[name][wanted]
            found = np.flatnonzero(places >= 0)
            for chunk in parts(len(found), AT_A_TIME):
                part = found[chunk]
                dense[part] = STORAGES[name].decode(stored[places[part]], self.factors)
        return dense

    @cached_property
    def _places(self) -> dict[str, NDArray[np.int64]]:
        """Storage name -> int64 ``(rows,)``: where in ``stored`` each row is; -1 of others."""
        live = {name: self.in_storage(STORAGES[name]) for name in self.stored}
        return {name: np.where(rows, np.cumsum(rows) - 1, -1) for name, rows in live.items()}
