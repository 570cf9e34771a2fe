"""Write the split ratings of a data set to one safetensors file, and read one fold of it.

The file holds four columns [ratings] in split order: ``user`` and ``item`` uint32, ``rating``
float32, ``fold`` uint8. Its metadata is sorted JSON under a single key: several keys have no fixed
order, and equal splits must give equal files. Needs NumPy and safetensors only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from mascot_jax.base.arrays import aligned_zeros
from mascot_jax.base.files import atomic_write
from mascot_jax.base.json_text import as_count, as_number, parse_json
from mascot_jax.data.chunks import ColumnFile, open_columns
from mascot_jax.errors import DataError, SettingsError

Indices = npt.NDArray[np.uint32]
Ratings = npt.NDArray[np.float32]
Folds = npt.NDArray[np.uint8]
PathLike = str | os.PathLike[str]
Columns = tuple[Indices, Indices, Ratings]
"""Users, items and ratings, equally long."""

_KEY = "mascot_split"
_VERSION = 1
_MOST_FOLDS = 255
_MOST_RATINGS = 2**62
_DTYPES: dict[str, np.dtype[Any]] = {
    "user": np.dtype("<u4"),
    "item": np.dtype("<u4"),
    "rating": np.dtype("<f4"),
    "fold": np.dtype("u1"),
}
_COLUMNS = ("user", "item", "rating")
_FACTS: dict[str, Callable[[object], Any]] = {
    "ratings": partial(as_count, low=1, high=_MOST_RATINGS),
    "user_count": partial(as_count, low=1, high=_MOST_RATINGS),
    "item_count": partial(as_count, low=1, high=_MOST_RATINGS),
    "count": partial(as_count, low=1, high=_MOST_FOLDS),
    "low": as_number,
    "high": as_number,
}
"""Functions that read and check the fields of ``SplitFacts``."""


@dataclass(frozen=True)
class SplitFacts:
    """Metadata of a split file.

    Attributes
    ----------
    ratings, user_count, item_count
        Sizes; indices are below the counts.
    count
        Number of folds.
    low, high
        Lowest and highest rating of the scale, in stars.
    """

    ratings: int
    user_count: int
    item_count: int
    count: int
    low: float
    high: float


@dataclass(frozen=True)
class FoldRatings:
    """Training and test ratings of one fold, each in split order.

    Attributes
    ----------
    train_user, train_item, test_user, test_item : uint32 [ratings]
    train_rating, test_rating : float32 [ratings]
        In stars.
    user_count, item_count : int
        Users and items of the whole data set; some may have no training rating.
    low, high : float
        Lowest and highest rating of the scale.
    """

    train_user: Indices
    train_item: Indices
    train_rating: Ratings
    test_user: Indices
    test_item: Indices
    test_rating: Ratings
    user_count: int
    item_count: int
    low: float
    high: float


def write_split(
    path: PathLike,
    *,
    user: Indices,
    item: Indices,
    rating: Ratings,
    fold: Folds,
    count: int,
    low: float,
    high: float,
) -> None:
    """Write a split atomically; equal splits give equal bytes.

    Parameters
    ----------
    path
        File to write or replace.
    user, item
        uint32 [ratings]: dense indices.
    rating
        float32 [ratings].
    fold
        uint8 [ratings]: the fold that tests each rating, 255 for none.
    count
        Number of folds.
    low, high
        Lowest and highest rating of the scale.

    Raises
    ------
    ValueError
        The columns are empty, differ in length or have a wrong dtype, or indices are not dense.
    OSError
        The file cannot be written; an existing file is unchanged.
    """
    columns: dict[str, npt.NDArray[Any]] = {
        "user": user,
        "item": item,
        "rating": rating,
        "fold": fold,
    }
    for name, column in columns.items():
        if column.dtype != _DTYPES[name] or column.shape != (user.size,) or not column.size:
            raise ValueError(
                f"column {name} is {column.dtype} {list(column.shape)}: "
                f"must be {_DTYPES[name]} [{max(user.size, 1)}]"
            )
    facts = SplitFacts(
        ratings=user.size,
        user_count=int(user.max()) + 1,
        item_count=int(item.max()) + 1,
        count=count,
        low=float(low),
        high=float(high),
    )
    _check_dense(facts)
    text = json.dumps({"version": _VERSION, **asdict(facts)}, sort_keys=True)
    with atomic_write(path) as temporary:
        contiguous = {name: np.ascontiguousarray(column) for name, column in columns.items()}
        save_file(contiguous, temporary, metadata={_KEY: text})


def read_facts(path: PathLike) -> SplitFacts:
    """Read sizes, number of folds and rating range of a split file, without its ratings.

    Raises
    ------
    DataError
        The file is not a split, is cut short, or has another version.
    """
    return _read_facts(open_columns(path))


def size_of_fold(path: PathLike, fold: int) -> int:
    """Return the number of a fold's training ratings; errors are those of ``read_fold``."""
    source = open_columns(path)
    facts = _read_facts(source)
    return facts.ratings - _count_tested(source, facts, fold)


def read_fold(path: PathLike, fold: int, into: Columns | None = None) -> FoldRatings:
    """Read one fold, with peak memory of 12 bytes per rating: those of the result.

    Parameters
    ----------
    path
        The split.
    fold
        The fold that tests.
    into
        Arrays of ``size_of_fold`` entries, uint32, uint32 and float32, for users, items and ratings
        to train on; they need not be in memory. None: new ones.

    Raises
    ------
    DataError
        The file is not a split, is cut short, or has another version.
    SettingsError
        The fold does not exist.
    """
    source = open_columns(path)
    facts = _read_facts(source)
    tested = _count_tested(source, facts, fold)
    train = into or _in_memory(facts.ratings - tested)
    test = _in_memory(tested)
    limits = facts.user_count, facts.item_count, None
    for name, limit, *columns in zip(_COLUMNS, limits, train, test, strict=True):
        _divide(source, name, fold, limit, *columns)
    return FoldRatings(
        *train,
        *test,
        user_count=facts.user_count,
        item_count=facts.item_count,
        low=facts.low,
        high=facts.high,
    )


def count_training_ratings(
    path: PathLike, fold: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Count the training ratings of each user and item in a fold, reading in chunks.

    Returns
    -------
    int64 [user_count], int64 [item_count]

    Raises
    ------
    DataError
        The file is not a split, is cut short, or has another version.
    SettingsError
        The fold does not exist.
    """
    source = open_columns(path)
    facts = _read_facts(source)
    _check_fold(source, facts, fold)
    users = _count(source, "user", fold, facts.user_count)
    return users, _count(source, "item", fold, facts.item_count)


def _read_facts(source: ColumnFile) -> SplitFacts:
    try:
        values = parse_json(source.metadata[_KEY])
        version = values.pop("version")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{source.path} is not a split: its metadata has no usable key {_KEY}; make it with "
            "the split stage"
        ) from error
    if version != _VERSION:
        raise DataError(
            f"{source.path} is a split of version {version!r:.20}, this program reads version "
            f"{_VERSION}: make it again"
        )
    found = {name: (column.dtype, column.size) for name, column in source.columns.items()}
    expected = {name: (dtype, values.get("ratings")) for name, dtype in _DTYPES.items()}
    if found != expected or values.keys() != _FACTS.keys():
        raise DataError(f"{source.path} does not hold the columns of a split: make it again")
    try:
        facts = SplitFacts(**{name: read(values[name]) for name, read in _FACTS.items()})
        _check_dense(facts)
    except ValueError as error:
        raise DataError(
            f"{source.path} states what no split can have ({error}): it was altered, make it again"
        ) from error
    return facts


def _check_dense(facts: SplitFacts) -> None:
    """Refuse more users or items than ratings, which bounds later tables by the file's size."""
    for name in ("user_count", "item_count"):
        if getattr(facts, name) > facts.ratings:
            raise ValueError(f"{name} is {getattr(facts, name)}, with {facts.ratings} ratings")


def _in_memory(count: int) -> Columns:
    dtypes = (_DTYPES[name] for name in _COLUMNS)
    users, items, ratings = (aligned_zeros((count,), dtype) for dtype in dtypes)
    return users, items, ratings


def _check_fold(source: ColumnFile, facts: SplitFacts, fold: int) -> None:
    if not 0 <= fold < facts.count:
        raise SettingsError(
            f"fold {fold} does not exist: {source.path} was split into {facts.count}; choose "
            f"folds from 0 to {facts.count - 1}, or change split.count"
        )


def _count_tested(source: ColumnFile, facts: SplitFacts, fold: int) -> int:
    _check_fold(source, facts, fold)
    return sum(int(np.count_nonzero(folds == fold)) for _, folds in source.chunks("fold"))


def _tested(
    source: ColumnFile, name: str, fold: int
) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]]:
    """Yield the chunks of a column, and which of their values the fold tests."""
    columns = source.chunks(name), source.chunks("fold")
    for (_, values), (_, folds) in zip(*columns, strict=True):
        yield values, folds == fold


def _divide(
    source: ColumnFile,
    name: str,
    fold: int,
    limit: int | None,
    train: npt.NDArray[Any],
    test: npt.NDArray[Any],
) -> None:
    """Write the training and the test values of a column to arrays of their numbers."""
    at_train = at_test = 0
    for values, tested in _tested(source, name, fold):
        _check_indices(source, name, values, limit)
        size = int(np.count_nonzero(tested))
        test[at_test : at_test + size] = values[tested]
        at_test += size
        size = values.size - size
        train[at_train : at_train + size] = values[~tested]
        at_train += size


def _count(source: ColumnFile, name: str, fold: int, size: int) -> npt.NDArray[np.int64]:
    counts = np.zeros(size, dtype=np.int64)
    for values, tested in _tested(source, name, fold):
        _check_indices(source, name, values, size)
        counts += np.bincount(values[~tested], minlength=size)
    return counts


def _check_indices(
    source: ColumnFile, name: str, values: npt.NDArray[Any], limit: int | None
) -> None:
    """Refuse an index from `limit` on, which would later read outside the tables."""
    if limit is not None and (highest := int(values.max())) >= limit:
        raise DataError(
            f"{source.path} holds {name} index {highest}, but only {limit} are declared: it was "
            "altered, make it again"
        )
