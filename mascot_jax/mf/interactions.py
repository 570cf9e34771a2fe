"""Read the ratings given to ``fit``: three arrays, a SciPy sparse matrix, or a data frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from numbers import Real
from typing import Any, Final, NamedTuple, Protocol, TypeGuard

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from mascot_jax.errors import DataError
from mascot_jax.ids.column import Column
from mascot_jax.ids.values import as_column

RATING: Final = "rating"
"""The column of ratings, unless another is named."""
_PAIRS: Final = (
    "must be a data frame (pandas, polars, pyarrow, ...) of users and items, or an array (n, 2)"
)


class Source(Protocol):
    """Ratings that are read some rows at a time, as often as needed."""

    @property
    def users(self) -> Column:
        """Every id of a user, at least once."""

    @property
    def items(self) -> Column:
        """Every id of an item, at least once."""

    @property
    def size(self) -> int:
        """Number of ratings, at least 1."""

    def parts(self) -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[np.float32]]]:
        """Yield ids of users, ids of items and ratings, in the same order each time."""


def is_source(ratings: Any) -> TypeGuard[Source]:
    """Return whether ratings are read some rows at a time, by their class: not by column names."""
    return callable(getattr(type(ratings), "parts", None))


class Interactions(NamedTuple):
    """Ratings as given: a column of users, one of items and one of ratings, equally long."""

    users: Column
    items: Column
    ratings: Column

    @property
    def size(self) -> int:
        """Number of ratings."""
        return self.ratings.size

    def parts(self) -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[np.float32]]]:
        """Yield ids of users, ids of items and ratings, some rows at a time.

        Raises
        ------
        DataError
            As in ``values``.
        """
        columns = (column.parts() for column in self)
        for (part, users), (_, items), (_, numbers) in zip(*columns, strict=True):
            yield users, items, as_ratings(numbers, self.ratings.name, part.start)

    def values(self) -> NDArray[np.float32]:
        """Return the ratings, float32 ``(n,)``.

        Raises
        ------
        DataError
            If one is not a number, or not finite as a float32.
        """
        values = np.empty(self.ratings.size, dtype=np.float32)
        for part, numbers in self.ratings.parts():
            values[part] = as_ratings(numbers, self.ratings.name, part.start)
        return values


def read_interactions(
    ratings: Any,
    values: Any = None,
    *,
    user: str = "user",
    item: str = "item",
    rating: str = RATING,
    implicit: bool = False,
) -> Interactions:
    """Find the three columns in a container of ratings, without a copy.

    Parameters
    ----------
    ratings
        A tuple or list of three arrays, lists or series of equal length: users, items, ratings. Or
        a SciPy sparse matrix or array, users x items: the numbers of rows and columns with a rating
        are the ids; every stored entry is a rating, including zeros and duplicates. Or a data frame
        of pandas, polars, pyarrow or another library that narwhals supports; of a lazy one the
        three columns are collected.
    values
        The ratings ``(n,)``, if ``ratings`` holds only pairs, as for ``read_pairs``.
    user, item, rating
        Columns of a data frame.
    implicit
        Whether two columns will do, of users and items; all values are then 1.

    Raises
    ------
    DataError
        If ratings are none of these, a column is missing or there twice, lengths differ, three
        lists of three may be rows or columns, or there is no rating.
    """
    if implicit and values is None and _is_of_pairs(ratings, rating):
        users, items = _of_pairs(ratings, user, item)
        found = Interactions(users, items, as_column(np.ones(users.size, np.float32), rating))
    elif values is not None:
        pairs = read_pairs(ratings, user=user, item=item)
        found = Interactions(*pairs, as_column(values, rating))
    elif hasattr(ratings, "tocoo"):
        found = _of_sparse(ratings)
    elif isinstance(ratings, tuple | list):
        found = _of_arrays(ratings)
    else:
        columns = _of_frame(ratings, (user, item, rating), _no_ratings)
        found = Interactions(columns[0], columns[1], columns[2])
    sizes = [column.size for column in found[:3]]
    if len(set(sizes)) > 1:
        raise DataError(f"users, items and ratings must be equally many: {sizes}")
    if not sizes[0]:
        raise DataError("there are no ratings: at least one is needed")
    return found


def _is_of_pairs(container: Any, rating: str) -> bool:
    """Return whether there are users and items only; a rating column that is named must exist."""
    if hasattr(container, "tocoo"):
        return False
    if isinstance(container, tuple | list):
        return len(container) == 2
    if isinstance(container, np.ndarray):
        return container.ndim == 2 and container.shape[1] == 2
    frame = nw.from_native(container, pass_through=True)
    if not isinstance(frame, nw.DataFrame | nw.LazyFrame):
        return False
    return rating == RATING and rating not in frame.collect_schema().names()


def _of_pairs(pairs: Any, user: str, item: str) -> tuple[Column, Column]:
    if isinstance(pairs, tuple | list):
        return as_column(pairs[0], "user"), as_column(pairs[1], "item")
    return read_pairs(pairs, user=user, item=item)


def read_pairs(pairs: Any, *, user: str = "user", item: str = "item") -> tuple[Column, Column]:
    """Find the columns of users and items in a data frame or an array ``(n, 2)``.

    Raises
    ------
    DataError
        If pairs are neither, or a column is missing.
    """
    if not isinstance(pairs, np.ndarray):
        users, items = _of_frame(pairs, (user, item), _no_pairs)
        return users, items
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise DataError(f"pairs: {_PAIRS}; this array has the shape {pairs.shape}")
    return as_column(pairs[:, 0], "user"), as_column(pairs[:, 1], "item")


def _of_sparse(matrix: Any) -> Interactions:
    if matrix.ndim != 2:
        raise DataError(f"a sparse array must be users x items, not of {matrix.ndim} dimension(s)")
    entries = matrix.tocoo()
    return Interactions(
        as_column(entries.row, "row"),
        as_column(entries.col, "column"),
        as_column(entries.data, "data"),
    )


_OF_ROWS: Final = (
    "rows of user, item and rating: give three columns, as in `users, items, ratings = map(list, "
    "zip(*rows)); fit((users, items, ratings))`"
)


def _of_arrays(arrays: tuple[Any, ...] | list[Any]) -> Interactions:
    kind = type(arrays).__name__
    rows = bool(arrays) and all(isinstance(row, tuple | list) and len(row) == 3 for row in arrays)
    if len(arrays) != 3:
        raise DataError(
            f"ratings: a {kind} must hold three arrays, of users, items and ratings; this one "
            f"holds {len(arrays)}{f' {_OF_ROWS}' if rows else ''}"
        )
    if rows and _may_be_rows(arrays):
        raise DataError(
            f"ratings: a {kind} of three {type(arrays[0]).__name__}s of three may hold columns or "
            f"{_OF_ROWS}"
        )
    users, items, ratings = map(as_column, arrays, ("user", "item", "rating"))
    return Interactions(users, items, ratings)


def _may_be_rows(arrays: tuple[Any, ...] | list[Any]) -> bool:
    """Return whether three sequences of three may be rows with a rating at the end.

    A tuple of lists holds columns, unless one of these has ids of several types.
    """
    if not all(_is_number(row[2]) for row in arrays):
        return False
    columns = isinstance(arrays, tuple) and all(isinstance(row, list) for row in arrays)
    return not columns or any(len(set(map(type, ids))) > 1 for ids in arrays[:2])


def _is_number(value: Any) -> bool:
    return isinstance(value, Real | Decimal) and not isinstance(value, bool)


def _of_frame(
    container: Any, names: tuple[str, ...], refusal: Callable[[Any], DataError]
) -> list[Column]:
    """Return columns of a data frame; ``refusal`` makes the error for what is none."""
    if len(set(names)) < len(names):
        words = "user and item" if len(names) == 2 else "user, item and rating"
        raise DataError(f"{words} must be different columns, not {names}")
    try:
        frame = nw.from_native(container, pass_through=True)
        if not isinstance(frame, nw.DataFrame | nw.LazyFrame):
            raise refusal(container)
        there = frame.collect_schema().names()
    except nw.exceptions.DuplicateError as error:
        raise DataError(
            f"columns of the data frame have the same name: {error}: rename one, or select those "
            "of users, items and ratings first"
        ) from error
    for name in names:
        if name not in there:
            raise DataError(
                f"there is no column {name!r} in the data frame, only "
                f"{', '.join(map(repr, there))}: name those of users, items and ratings with "
                "user=, item= and rating="
            )
    if isinstance(frame, nw.LazyFrame):
        frame = frame.select(*dict.fromkeys(names)).collect()
    return [as_column(frame[name].to_native(), name) for name in names]


def _no_pairs(found: Any) -> DataError:
    return DataError(f"pairs: {_PAIRS}; this is a {type(found).__name__}")


def _no_ratings(found: Any) -> DataError:
    if isinstance(found, np.ndarray) and found.ndim == 2 and found.shape[1] == 3:
        remedy = "if its rows are of user, item and rating, give its columns: `tuple(array.T)`"
    elif isinstance(found, np.ndarray) and found.ndim == 2:
        remedy = "of a matrix of users x items, give `scipy.sparse.coo_array(matrix)`"
    elif isinstance(found, Mapping):
        remedy = "of a dictionary of columns, give `pandas.DataFrame(columns)`"
    else:
        remedy = "make it one of these"
    return DataError(
        f"ratings: {type(found).__name__} is neither a tuple of three arrays, nor a SciPy sparse "
        f"matrix, nor a data frame (pandas, polars, pyarrow, ...): {remedy}"
    )


def as_ratings(numbers: NDArray[Any], name: str, first: int = 0) -> NDArray[np.float32]:
    """Return numbers ``(n,)`` as float32; messages use ``name`` and ``first``, the first row.

    Raises
    ------
    DataError
        If one is not a number, or not finite as a float32.
    """
    if numbers.dtype.kind == "O":
        for row, number in enumerate(numbers):
            if not isinstance(number, Real | Decimal):
                raise DataError(
                    f"{name}: the rating in row {first + row} (counted from 0) is {number!r}: "
                    "must be a number"
                )
        numbers = np.fromiter(map(_as_float, numbers), dtype=np.float64, count=len(numbers))
    elif numbers.dtype.kind not in "iufb":
        raise DataError(f"{name}: ratings must be numbers, not of type {numbers.dtype}")
    with np.errstate(over="ignore"):
        values = numbers.astype(np.float32, copy=False)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise DataError(
            f"{name}: the rating in row {first + int(bad[0])} (counted from 0) is "
            f"{numbers[bad[0]]}: must be finite as a float32"
        )
    return values


def _as_float(number: Any) -> float:
    try:
        return float(number)
    except OverflowError:  # from an integer
        return math.inf
