"""How much of the row traffic each storage carried."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mascot_jax.storage import STORAGES


class Traffic:
    """Counts row visits by storage over a whole training.

    Parameters
    ----------
    user_visits, item_visits
        int64 ``(g,)`` per side: training ratings of each group, which an epoch visits once each.
    """

    def __init__(self, user_visits: NDArray[np.int64], item_visits: NDArray[np.int64]) -> None:
        self._visits = user_visits, item_visits
        self._totals = dict.fromkeys(STORAGES, 0)

    def add_epoch(self, user_codes: NDArray[np.uint8], item_codes: NDArray[np.uint8]) -> None:
        """Add an epoch in which groups ``(g,)`` were in these storages."""
        for visits, codes in zip(self._visits, (user_codes, item_codes), strict=True):
            for storage in STORAGES.values():
                self._totals[storage.name] += int(visits[codes == storage.code].sum())

    @property
    def shares(self) -> dict[str, float]:
        """Storage name -> share of all row visits so far, for every storage that had any."""
        total = sum(self._totals.values())
        return {name: visits / total for name, visits in self._totals.items() if visits}
