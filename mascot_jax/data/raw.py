"""Ratings as they were read: original ids, original order, nothing split yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class RawRatings:
    """Every rating of a data set, and what is known about it.

    Attributes
    ----------
    frame : polars.DataFrame, shape (ratings, 3 or 4)
        Columns ``user`` and ``item`` (Int64 if every id of the column is an integer, otherwise
        String), ``rating`` (Float32, finite) and, only where the data set brings its own test
        ratings, ``test`` (Boolean). No nulls. In the order of the files they came from.
    facts : dict
        At least ``name``, ``source`` and the range of the ratings, ``low`` and ``high``.
    """

    frame: pl.DataFrame
    facts: dict[str, Any] = field(default_factory=dict)
