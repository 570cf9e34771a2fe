"""Ratings that are read piece by piece, as often as needed, because memory does not hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mascot_jax.ids.column import ROWS_AT_A_TIME, Column
from mascot_jax.ids.values import as_column

MANY: Final = 1 << 20
"""New ids that are kept before they are united with those that are known."""


class RatingsInPieces:
    """Ratings of a source that is read once for its ids, and then once for each use.

    Parameters
    ----------
    pieces
        Yields frames with ``user`` and ``item`` (Int64 or String) and ``rating`` (Float32), the
        same ones on each call. Where one piece has String ids, those of all are text.

    Raises
    ------
    DataError
        A piece cannot be read.
    """

    def __init__(self, pieces: Callable[[], Iterator[pl.DataFrame]]) -> None:
        self._pieces = pieces
        ids = {"user": DistinctIds(), "item": DistinctIds()}
        self.size = 0
        """Number of ratings."""
        for frame in pieces():
            for name, found in ids.items():
                found.add(frame[name])
            self.size += frame.height
        self._ids = {name: found.series for name, found in ids.items()}

    @cached_property
    def users(self) -> Column:
        """Every id of a user, once, in no order."""
        return as_column(self._ids["user"], "user")

    @cached_property
    def items(self) -> Column:
        """Every id of an item, once, in no order."""
        return as_column(self._ids["item"], "item")

    def parts(self) -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[np.float32]]]:
        """Yield ids of users, ids of items and ratings, some rows at a time."""
        ids = [pl.col(name).cast(found.dtype) for name, found in self._ids.items()]
        for piece in self._pieces():
            for frame in piece.with_columns(ids).iter_slices(ROWS_AT_A_TIME):
                yield frame["user"].to_numpy(), frame["item"].to_numpy(), frame["rating"].to_numpy()


class DistinctIds:
    """Takes ids piece by piece, and has each once."""

    def __init__(self) -> None:
        self._known: list[pl.Series] = []
        self._united = 0

    def add(self, ids: pl.Series) -> None:
        """Add ids (Int64 or String)."""
        self._known.append(ids.unique().shrink_to_fit())  # it has room for all of the piece
        if sum(map(len, self._known)) > 2 * self._united + MANY:
            self._known = [self.series]
            self._united = len(self._known[0])

    @property
    def series(self) -> pl.Series:
        """The ids: Int64 if all pieces are, else String."""
        known = self._known
        if len({ids.dtype for ids in known}) > 1:
            known = [ids.cast(pl.String) for ids in known]
        return pl.concat(known).unique()
