"""Ratings in the container that they came in, of which rows can be taken."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from mascot_jax.errors import DataError
from mascot_jax.ids.column import Column
from mascot_jax.ids.values import as_column
from mascot_jax.mf.interactions import read_interactions

Rows = NDArray[np.integer[Any]]


class Container:
    """Ratings as ``MatrixFactorization.fit`` takes them.

    Parameters
    ----------
    ratings, user, item, rating
        As for ``fit``. A lazy frame is collected, with all its columns.

    Raises
    ------
    DataError
        If ratings cannot be used.
    """

    def __init__(
        self, ratings: Any, *, user: str = "user", item: str = "item", rating: str = "rating"
    ) -> None:
        frame = nw.from_native(ratings, pass_through=True)
        if isinstance(frame, nw.LazyFrame):
            ratings = frame.collect().to_native()
        self._ratings = ratings.tocoo() if hasattr(ratings, "tocoo") else ratings
        names = {"user": user, "item": item, "rating": rating}
        # Whether pairs will do is for ``fit`` to say.
        self.columns = read_interactions(self._ratings, **names, implicit=True)

    def __len__(self) -> int:
        return self.columns.ratings.size

    def take(self, rows: Rows) -> Any:
        """Return rows in a container of the same kind; of a sparse matrix, in coordinate format."""
        if hasattr(self._ratings, "tocoo"):
            entries = self._ratings
            places = (entries.row[rows], entries.col[rows])
            return type(entries)((entries.data[rows], places), shape=entries.shape)
        if isinstance(self._ratings, np.ndarray):
            return self._ratings[rows]
        if isinstance(self._ratings, tuple | list):
            return tuple(_take(values, rows) for values in self._ratings)
        return nw.from_native(self._ratings)[rows].to_native()

    def column(self, values: str | Any, parameter: str) -> Column:
        """Return another column: one of a data frame by its name, or an array ``(n,)``.

        Raises
        ------
        DataError
            If there is no such column, or it has another length; the message has ``parameter``.
        """
        if isinstance(values, str):
            frame = nw.from_native(self._ratings, pass_through=True)
            if not isinstance(frame, nw.DataFrame):
                raise DataError(f"{parameter}: {values!r}: only a data frame has columns by name")
            if values not in frame.columns:
                raise DataError(
                    f"{parameter}: there is no column {values!r} in the data frame, only "
                    f"{', '.join(map(repr, frame.columns))}"
                )
            values = frame[values].to_native()
        column = as_column(values, parameter)
        if column.size != len(self):
            raise DataError(f"{parameter}: {column.size} entries for {len(self)} ratings")
        return column


def _take(values: Any, rows: Rows) -> Any:
    series = nw.from_native(values, series_only=True, pass_through=True)
    if isinstance(series, nw.Series):
        return series[rows].to_native()
    if isinstance(values, list | tuple | range):
        return [values[row] for row in rows]
    return np.asarray(values)[rows]
