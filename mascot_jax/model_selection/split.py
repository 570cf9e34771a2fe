"""Divide ratings into those to train on and those to test on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import random_order, sort_by
from mascot_jax.errors import DataError, SettingsError
from mascot_jax.ids.column import Column
from mascot_jax.ids.table import index_ids
from mascot_jax.model_selection.container import Container
from mascot_jax.settings.search import HOW, How

Flags = NDArray[np.bool_]
Order = NDArray[np.integer[Any]]


def train_test_split(
    ratings: Any,
    *,
    how: How = "random",
    test_size: float | None = None,
    seed: int = 0,
    time: Any = "timestamp",
    user: str = "user",
    item: str = "item",
    rating: str = "rating",
) -> tuple[Any, Any]:
    """Divide ratings into those to train on and those to test on.

    Parameters
    ----------
    ratings, user, item, rating
        As for ``MatrixFactorization.fit``. Other columns of a data frame are kept.
    how
        Which ratings to test on: ``random`` ones; random ones of each ``user``; the ``last`` of
        each user by time; the latest of all by ``time``. With ``user`` and ``last``, every user
        keeps a rating to train on. Of equal times, later rows are later.
    test_size
        Number of ratings, with ``user`` and ``last`` of each user, or, below 1, their share, to the
        nearest rating. None: 1 with ``last``, which is called leave-last-out; else 0.2.
    seed
        Fixes which ratings are chosen at random.
    time
        Column of a data frame, or array ``(n,)``, of numbers or dates: ``last`` and ``time`` read
        it.

    Returns
    -------
    train, test
        Each in a container of the kind of ``ratings``, rows in their order; of a sparse matrix, in
        coordinate format and of the same shape.

    Raises
    ------
    DataError
        If ratings cannot be used, or a time is missing or neither a number nor a date.
    SettingsError
        If an argument is invalid, or leaves nothing to train or to test on.
    """
    container = Container(ratings, user=user, item=item, rating=rating)
    times = container.column(time, "time") if how in ("last", "time") else None
    test = choose_test(container.columns.users, how, test_size, seed, times)
    return container.take(np.flatnonzero(~test)), container.take(np.flatnonzero(test))


def choose_test(
    users: Column, how: str, test_size: float | None, seed: int, times: Column | None
) -> Flags:
    """Return which ratings to test on, bool ``(n,)``; arguments as for ``train_test_split``."""
    if how not in HOW:
        raise SettingsError(f"how: {how!r}: must be one of {', '.join(HOW)}")
    if test_size is None:
        test_size = 1 if how == "last" else 0.2
    _check_size(test_size, users.size, alone=how in ("random", "time"))
    if how in ("random", "user"):
        order: Order = random_order(users.size, seed)
    else:
        assert times is not None
        order = np.argsort(_sortable(times), kind="stable")
    test = np.zeros(users.size, dtype=bool)
    if how in ("random", "time"):
        test[order[users.size - _number(users.size, test_size) :]] = True
    else:
        _, index = index_ids(users)
        test[_last_of_each(index, order, test_size)] = True
    if not test.any():
        raise SettingsError(
            f"test_size: {test_size}: leaves nothing to test on: of no user are there enough "
            "ratings; take a larger one, or another way to split"
        )
    return test


def _check_size(size: float, ratings: int, *, alone: bool) -> None:
    real = isinstance(size, int | float | np.integer | np.floating) and not isinstance(size, bool)
    if not real or not 0 < size < math.inf or (size > 1 and size != int(size)):
        raise SettingsError(
            f"test_size: {size!r}: must be a share between 0 and 1, or a number of ratings"
        )
    if ratings < 2 or (alone and _number(ratings, size) >= ratings):
        raise SettingsError(f"test_size: {size!r}: of {ratings} ratings, none is left to train on")


def _number(count: Any, size: float) -> Any:
    """Return how many of ``count`` ratings are tested: an integer, or int64 ``(n,)`` of many."""
    if size >= 1:
        return int(size)
    rounded = np.floor(count * size + 0.5).astype(np.int64)
    return rounded if np.ndim(count) else max(int(rounded), 1)


def _last_of_each(users: NDArray[np.uint32], order: Order, size: float) -> Order:
    """Return the rows that come last for each user in an order of all rows ``(n,)``."""
    by_user = order[sort_by(users[order])]
    owners = users[by_user]
    first = np.flatnonzero(np.append(True, owners[1:] != owners[:-1]))
    counts = np.diff(first, append=len(owners))
    tested = np.minimum(_number(counts, size), counts - 1)
    from_end = np.repeat(first + counts, counts) - np.arange(len(owners))
    last: Order = by_user[from_end <= np.repeat(tested, counts)]
    return last


def _sortable(times: Column) -> NDArray[Any]:
    """Return times ``(n,)`` as numbers in their order."""
    values = times.read(slice(None))
    missing = _missing(values)
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        raise DataError(f"{times.name}: the time of row {row} (counted from 0) is missing")
    if values.dtype.kind in "iufM":
        return values
    text = values.dtype.kind in "US" or (
        values.dtype == object and any(isinstance(value, str | bytes) for value in values)
    )
    if values.dtype != object or text:
        kind = "text" if text else values.dtype
        raise DataError(
            f"{times.name}: times must be numbers or dates, not {kind}: "
            "convert them, such as by pandas.to_datetime"
        )
    try:
        return np.unique(values, return_inverse=True)[1]
    except TypeError as error:
        raise DataError(f"{times.name}: times cannot be compared: {error}") from error


def _missing(values: NDArray[Any]) -> Flags:
    """Return which times are none, bool ``(n,)``."""
    missing = np.zeros(len(values), dtype=bool)
    if values.dtype.kind in "mM":
        missing = np.isnat(values)
    elif values.dtype.kind == "f":
        missing = np.isnan(values)
    elif values.dtype == object:  # None, NaN and pandas' NaT: all but None differ from themselves
        gone = (value is None or value != value for value in values)
        missing = np.fromiter(gone, dtype=bool, count=len(values))
    return missing


def k_folds(
    ratings: Any,
    folds: int = 5,
    *,
    seed: int = 0,
    user: str = "user",
    item: str = "item",
    rating: str = "rating",
) -> Iterator[tuple[Any, Any]]:
    """Yield (train, test) for each of so many folds: each rating is tested on once.

    With one seed, the folds are those of ``cross_validate``, of the command and of the pipeline.

    Parameters
    ----------
    ratings, user, item, rating, seed
        As for ``train_test_split``; likewise what is yielded.
    folds
        Number of folds, at least 2; they differ in size by at most one rating.

    Raises
    ------
    DataError
        If ratings cannot be used.
    SettingsError
        If there are too few folds, or too few ratings.
    """
    container = Container(ratings, user=user, item=item, rating=rating)
    for train, test in fold_rows(len(container), folds, seed):
        yield container.take(train), container.take(test)


def fold_rows(ratings: int, folds: int, seed: int) -> list[tuple[Order, Order]]:
    """Return the rows of ``ratings`` to train on and to test on, ascending, for each fold."""
    whole = isinstance(folds, int | np.integer) and not isinstance(folds, bool)
    if not whole or not 2 <= folds <= ratings:
        raise SettingsError(
            f"folds: {folds!r}: must be a whole number from 2 to the number of ratings, {ratings}"
        )
    order = random_order(ratings, seed)
    tests = [np.sort(order[fold::folds]) for fold in range(folds)]
    return [(np.setdiff1d(np.arange(ratings), test, assume_unique=True), test) for test in tests]
