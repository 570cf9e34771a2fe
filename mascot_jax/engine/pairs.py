"""Pairs of users and items in compressed rows: what a user has rated."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Pairs(NamedTuple):
    """Items of each of b users, or of whatever else is asked about, in compressed rows."""

    starts: NDArray[np.int64]
    """``(b + 1,)``: row i has the items ``starts[i]`` to ``starts[i + 1] - 1``."""
    items: NDArray[np.uint32]
    """``(starts[b],)``: indices."""
