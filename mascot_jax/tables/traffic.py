"""Row traffic of a training by storage, and by width where rows get narrower."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mascot_jax.tables.storage import FLOAT32, STORAGES, Storage

_AT: Final = "@"
"""Between a storage and the width of its pruned rows."""


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
        self._storages = storages
        self._totals: dict[str, int] = {}

    def add_epoch(
        self,
        user_codes: NDArray[np.uint8],
        item_codes: NDArray[np.uint8],
        pruned_to: int | None = None,
    ) -> None:
        """Add an epoch.

        Parameters
        ----------
        user_codes, item_codes
            uint8 ``(g,)``: the groups' storage codes in it.
        pruned_to
            Components of a row in it; None: as many as the training began with.
        """
        at = "" if pruned_to is None else f"{_AT}{pruned_to}"
        for storage in self._storages:
            visits = sum(
                int(visits[codes == storage.code].sum())
                for visits, codes in zip(self._visits, (user_codes, item_codes), strict=True)
            )
            if visits:
                name = storage.name + at
                self._totals[name] = self._totals.get(name, 0) + visits

    @property
    def shares(self) -> dict[str, float]:
        """Name -> share of all row visits so far, where there were any.

        A name is that of a storage, such as ``float16``; ``float16@64`` are visits to rows that had
        been pruned to 64 factors.
        """
        total = sum(self._totals.values())
        return {name: visits / total for name, visits in self._totals.items()}


def by_storage(shares: Mapping[str, float]) -> dict[str, float]:
    """Add up the shares of each storage, whatever the width of its rows."""
    total: dict[str, float] = {}
    for name, share in shares.items():
        storage = name.partition(_AT)[0]
        total[storage] = total.get(storage, 0.0) + share
    return total


def relative_bytes(shares: Mapping[str, float], factors: int) -> float:
    """Return the bytes moved by row visits, relative to float32.

    Parameters
    ----------
    shares
        As of ``Traffic.shares``.
    factors
        Components of a row (k) that has not been pruned.
    """
    moved = 0.0
    for name, share in shares.items():
        storage, _, width = name.partition(_AT)
        moved += share * STORAGES[storage].row_bytes(int(width or factors))
    return moved / FLOAT32.row_bytes(factors)
