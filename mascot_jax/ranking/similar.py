"""Nearest neighbours by cosine, which ignores the lengths of rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mascot_jax.errors import DataError
from mascot_jax.ranking.pairs import Pairs
from mascot_jax.ranking.top_n import Items, TopN


def similar(
    queries: NDArray[np.float32],
    rows: NDArray[np.float32],
    n: int,
    exclude_self: NDArray[np.uint32] | None = None,
) -> TopN:
    """Find the rows with the largest cosine to each query.

    The search runs on the device that ``jax.default_device`` is set to; if to none, in NumPy.

    The cosine with a row of zeros, which has no direction, is 0. Of equal cosines, the lower index
    comes first.

    Parameters
    ----------
    queries
        float32 ``(b, k)``: factors of users or of items.
    rows
        float32 ``(m, k)``: factors of the same side, one row per index.
    n
        Neighbours wanted for each query, at least 1; a query gets fewer if there are fewer.
    exclude_self
        uint32 ``(b,)``: index of each query, which is excluded from its own neighbours. None
        excludes nothing, and queries may be any vectors.

    Returns
    -------
    TopN
        Indices of ``rows`` as items, cosines as scores.

    Raises
    ------
    SettingsError
        ``n`` is below 1.
    DataError
        Arrays do not fit together, or hold numbers that are not finite.
    IndexError
        An index in ``exclude_self`` does not exist.
    """
    if exclude_self is None:
        return Directions(rows).nearest(queries, n)
    if len(exclude_self) != len(queries):
        raise DataError(
            f"exclude_self has {len(exclude_self)} indices for {len(queries)} queries; "
            "give one each"
        )
    own = Pairs(np.arange(len(queries) + 1), exclude_self)
    return Directions(rows).nearest(queries, n, own)


class Directions:
    """Rows scaled to length 1, ready to be searched where ``similar`` does.

    Parameters
    ----------
    rows
        As in ``similar``.
    weights
        float32 ``(m,)``: what cosines with each row are multiplied by, 0 or more; None: 1.
    """

    def __init__(
        self, rows: NDArray[np.float32], weights: NDArray[np.float32] | None = None
    ) -> None:
        unit = unit_rows(rows)
        self._rows = Items(unit if weights is None else weights[:, None] * unit)

    def nearest(self, queries: NDArray[np.float32], n: int, exclude: Pairs | None = None) -> TopN:
        """Find the rows with the largest weighted cosine to each query, as in ``similar``.

        ``exclude`` has the rows that each query must not get.
        """
        return self._rows.best(unit_rows(queries), n, exclude)


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows ``(count, k)`` scaled to length 1; rows of zeros stay zero."""
    # In float64: squares of float32 numbers can underflow or overflow in float32.
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    lengths[lengths == 0] = 1
    unit = np.empty_like(rows)
    np.divide(rows, lengths[:, None], out=unit, casting="same_kind")
    return unit
