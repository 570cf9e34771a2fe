"""Ratings as read: original ids and original order, before the split."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class RawRatings:
    """All ratings of a data set, and facts about it.

    Attributes
    ----------
    frame : polars.DataFrame, shape (ratings, 3 or 4)
        Columns ``user`` and ``item`` (Int64 if every id of the column is an integer, otherwise
        String), ``rating`` (Float32, finite) and, only if the data set has its own test ratings,
        ``test`` (Boolean). No nulls. Rows are in file order.
    facts : dict
        At least ``name``, ``source`` and the range of the ratings, ``low`` and ``high``.
    """

    frame: pl.DataFrame
    facts: dict[str, Any] = field(default_factory=dict)
