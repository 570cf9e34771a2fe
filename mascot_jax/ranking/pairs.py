"""Pairs of users and items in compressed rows, such as the items that each user has rated."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Pairs(NamedTuple):
    """Items of each of b users, or of other queries, in compressed rows."""

    starts: NDArray[np.int64]
    """``(b + 1,)``: row i has the items ``starts[i]`` to ``starts[i + 1] - 1``."""
    items: NDArray[np.uint32]
    """``(starts[b],)``: item indices."""

    def rows(self, indices: NDArray[np.int64]) -> Pairs:
        """Return the rows at ``indices`` ``(n,)``; an empty row for -1, an unknown user."""
        first = self.starts[indices]
        lengths = np.where(indices < 0, 0, self.starts[indices + 1] - first)
        starts = np.append(0, np.cumsum(lengths))
        place = np.arange(starts[-1]) + np.repeat(first - starts[:-1], lengths)
        return Pairs(starts, self.items[place])
