"""Rows of a model that are like each other, by index."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.frames import to_frame
from mascot_jax.errors import SettingsError
from mascot_jax.mf.model import Model, ModelSide
from mascot_jax.mf.recommend import SideName
from mascot_jax.ranking.pairs import Pairs
from mascot_jax.ranking.similar import Directions
from mascot_jax.ranking.top_n import TopN

DAMPING: Final = 10.0
"""Similar films of MovieLens 1M then have nearly the most genres in common (docs/ranking.md)."""


class Neighbours(NamedTuple):
    """Similar items of items, or users of users, in the long form of ``Recommendations``."""

    ids: NDArray[Any]
    """``(entries,)``: ids asked about."""
    neighbours: NDArray[Any]
    """``(entries,)``: ids of the neighbours, the most similar first."""
    scores: NDArray[np.float32]
    """``(entries,)``: cosine similarities of the factors, damped."""
    ranks: NDArray[np.int64]
    """``(entries,)``: from 1."""

    def to_frame(self, library: str = "pandas") -> Any:
        """Return a data frame of ``id``, ``rank``, ``neighbour`` and ``score``.

        ``library`` is as for ``Recommendations.to_frame``.
        """
        columns = {"id": self.ids, "rank": self.ranks, "neighbour": self.neighbours}
        return to_frame({**columns, "score": self.scores}, library)


class Neighbourhood:
    """One side of a model, its rows decoded and scaled once, to be searched.

    Rows without training ratings have no neighbours and are never neighbours.
    """

    def __init__(self, model: Model, side: SideName) -> None:
        rows: ModelSide = getattr(model, side)
        self._warm = np.sort(rows.order[: rows.warm_rows])
        self._factors = rows.dense(self._warm)
        self._counts = None if rows.counts is None else rows.rating_counts[self._warm]
        self._laid_out: dict[float, Directions] = {}

    def nearest(self, indices: NDArray[np.int64], n: int, damping: float = DAMPING) -> TopN:
        """Return the n most similar rows, as ``MatrixFactorization.similar_items`` does.

        ``indices`` is int64 ``(b,)``, -1 for unknown ids.
        """
        directions = self._directions(_checked(damping))
        asked = np.flatnonzero(np.isin(indices, self._warm))
        place = np.searchsorted(self._warm, indices[asked]).astype(np.uint32)
        own = Pairs(np.arange(len(place) + 1), place)
        found = directions.nearest(self._factors[place], n, own)
        return TopN(asked[found.queries], self._warm[found.items], found.scores)

    def _directions(self, damping: float) -> Directions:
        """Return the rows, laid out for a damping; those of the last one are kept."""
        directions = self._laid_out.get(damping)
        if directions is None:
            weights = None
            if self._counts is not None and damping:
                weights = (self._counts / (self._counts + damping)).astype(np.float32)
            directions = Directions(self._factors, weights)
            self._laid_out = {damping: directions}
        return directions


def _checked(damping: Any) -> float:
    number = isinstance(damping, Real) and not isinstance(damping, bool)
    if not number or not 0 <= damping < math.inf:
        raise SettingsError(f"damping: {damping!r}: must be a finite number, at least 0")
    return float(damping)
