"""How much of the row traffic each storage carried."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mascot_jax.tables.storage import FLOAT32, STORAGES, Storage


class Traffic:
    """Counts row visits by storage over a whole training.

    Parameters
    ----------
    user_visits, item_visits
        int64 ``(g,)`` per side: training ratings of each group, which an epoch visits once each.
    storages
        Those that groups may be in.
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
        """Add an epoch in which groups ``(g,)`` were in these storages."""
        for visits, codes in zip(self._visits, (user_codes, item_codes), strict=True):
            for storage in self._totals:
                self._totals[storage] += int(visits[codes == storage.code].sum())

    @property
    def shares(self) -> dict[str, float]:
        """Storage name -> share of all row visits so far, for every storage that had any."""
        total = sum(self._totals.values())
        return {s.name: visits / total for s, visits in self._totals.items() if visits}


def relative_bytes(shares: Mapping[str, float], factors: int) -> float:
    """Return the bytes that row visits moved over those that float32 would have needed.

    Parameters
    ----------
    shares
        Storage name -> share of the visits.
    factors
        Components of a row (k).
    """
    moved = sum(share * STORAGES[name].row_bytes(factors) for name, share in shares.items())
    return moved / FLOAT32.row_bytes(factors)
