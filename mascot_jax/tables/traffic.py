"""Row traffic of a training by storage."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mascot_jax.tables.storage import FLOAT32, STORAGES, Storage


class Traffic:
    """Counter of row visits by storage over a whole training.

    Parameters
    ----------
    user_visits, item_visits
        int64 ``(g,)``: training ratings of each group; an epoch visits each rating once.
    storages
        Storages that groups may have.
    """

    def __init__(
        self,
        user_visits: NDArray[np.int64],
        item_visits: NDArray[np.int64],
        storages: tuple[Storage, ...],
    ) -> None:
        self._visits = user_visits, item_visits
        self._totals = dict.fromkeys(storages, 0)

    def add_epoch(self, user_codes: NDArray[np.uint8], item_codes: NDArray[np.uint8]) -> None:
        """Add an epoch; the arguments are the groups' storage codes in it, uint8 ``(g,)``."""
        for visits, codes in zip(self._visits, (user_codes, item_codes), strict=True):
            for storage in self._totals:
                self._totals[storage] += int(visits[codes == storage.code].sum())

    @property
    def shares(self) -> dict[str, float]:
        """Storage name -> share of all row visits so far; storages without visits are left out."""
        total = sum(self._totals.values())
        return {s.name: visits / total for s, visits in self._totals.items() if visits}


def relative_bytes(shares: Mapping[str, float], factors: int) -> float:
    """Return the bytes moved by row visits, relative to float32.

    Parameters
    ----------
    shares
        Storage name -> share of the row visits.
    factors
        Components of a row (k).
    """
    moved = sum(share * STORAGES[name].row_bytes(factors) for name, share in shares.items())
    return moved / FLOAT32.row_bytes(factors)
