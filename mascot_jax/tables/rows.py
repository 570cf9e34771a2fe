"""Factor rows on the host: each row once, without padding, in the storage of its group."""

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
"""Rows converted at a time; bounds memory: 8 MiB of float32 at k = 128."""


@dataclasses.dataclass(frozen=True)
class Rows:
    """Factor rows of one side, stored by group precision: g groups of rows of k components.

    Attributes
    ----------
    factors
        Components of a row (k).
    stored
        Storage name -> rows ``(n, elements)`` of all groups in that storage, in table order.
    starts
        uint32 ``(g + 1,)``: group j holds rows ``starts[j]`` to ``starts[j + 1] - 1``.
    codes
        uint8 ``(g,)``: ``Storage.code`` of each group.
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
        """Bytes of all rows."""
        return sum(rows.nbytes for rows in self.stored.values())

    def check(self, name: str) -> None:
        """Check what the kernels rely on; ``name`` names the table in messages.

        Raises
        ------
        ValueError
            Groups do not cover the rows, or rows have another dtype or shape than their storage.
        """
        check_groups(self.starts, self.codes, name)
        unknown = set(self.stored) - set(STORAGES)
        storages = by_code(sorted(set(self.stored) - unknown))
        if unknown or not set(self.codes.tolist()) <= set(storages):
            raise ValueError(f"{name}: groups are in a storage that the file does not hold")
        if len(storages) != len(self.stored):
            raise ValueError(f"{name}: {sorted(self.stored)} cannot be in one table")
        for storage in storages.values():
            rows = self.stored[storage.name]
            live = int(np.diff(self.starts)[self.codes == storage.code].sum())
            wanted = live, storage.elements(self.factors)
            if rows.dtype != storage.dtype or rows.shape != wanted:
                raise ValueError(f"{name}: {storage.name} factors are {rows.dtype} {rows.shape}")

    def where(self, chosen: NDArray[np.bool_], starts: NDArray[np.uint32]) -> Rows:
        """Return the chosen rows, bool ``(rows,)``; ``starts`` is where their groups then start."""
        stored = {
            name: rows[chosen[self.in_storage(STORAGES[name])]]
            for name, rows in self.stored.items()
        }
        return Rows(self.factors, stored, starts, self.codes)

    def in_storage(self, storage: Storage) -> NDArray[np.bool_]:
        """Return whether each row is in ``storage``, bool ``(rows,)``."""
        return np.repeat(self.codes == storage.code, np.diff(self.starts))

    def dense(self, rows: NDArray[np.integer[Any]] | None = None) -> NDArray[np.float32]:
        """Decode the rows at indices ``(n,)``, or all rows, to float32 ``(n, k)``."""
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
        """Storage name -> int64 ``(rows,)``: position of each row in ``stored``, -1 if absent."""
        live = {name: self.in_storage(STORAGES[name]) for name in self.stored}
        return {name: np.where(rows, np.cumsum(rows) - 1, -1) for name, rows in live.items()}
