"""Split ratings into folds: dense indices, one seeded random order, one fold number per rating.

With ``count`` folds, fold ``position mod count`` tests the rating at a position of that order, and
all other folds train on it. If the data set has its own test ratings, these are fold 0 and all
others belong to no fold. Ratings of the same (user, item) pair are all kept and may lie in
different folds; ``report`` counts them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow.parquet as pq

from mascot_jax.base.arrays import AT_A_TIME, count_each, gather, parts, random_order
from mascot_jax.data.formats.parquet import batches
from mascot_jax.data.pieces import DistinctIds
from mascot_jax.errors import DataError, SettingsError
from mascot_jax.ids.column import StreamedColumn
from mascot_jax.ids.table import index_ids
from mascot_jax.settings import SplitSettings

TRAIN_ONLY = 255
"""Fold number of a rating that no fold tests."""

Indices = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Split:
    """All ratings in split order, each with its fold.

    Attributes
    ----------
    user, item : uint32 [ratings]
        Dense indices, from 0.
    rating : float32 [ratings]
        In stars.
    fold : uint8 [ratings]
        The fold that tests the rating, or ``TRAIN_ONLY``.
    user_ids, item_ids : polars.Series [users], [items]
        Original id of each index, ascending (strings by their UTF-8 bytes).
    count : int
        Number of folds.
    """

    user: Indices
    item: Indices
    rating: npt.NDArray[np.float32]
    fold: npt.NDArray[np.uint8]
    user_ids: pl.Series
    item_ids: pl.Series
    count: int


def split_ratings(raw: pl.DataFrame | Path, settings: SplitSettings) -> Split:
    """Index, shuffle and divide ratings, in 24 bytes of memory a rating or less.

    Parameters
    ----------
    raw
        A frame, or the path of a Parquet file, which is read piece by piece. Columns ``user``,
        ``item`` (Int64 or String), ``rating`` (Float32), and ``test`` (Boolean) if the data set has
        its own test ratings; no nulls.
    settings
        Number of folds, and seed of the order.

    Returns
    -------
    Split
        Disjoint folds. Without the column ``test``, they cover every rating and differ in size by
        at most one.

    Raises
    ------
    SettingsError
        ``split.count`` does not fit the data.
    DataError
        ``test`` is true of all ratings, or of none.
    """
    size, names = _shape(raw)
    has_test = "test" in names
    _check_count(settings.count, size, has_test)
    order = random_order(size, settings.seed)
    if has_test:
        fold = _own_folds(_column(raw, "test", np.dtype(np.bool_)))[order]
    else:
        fold = np.resize(np.arange(settings.count, dtype=np.uint8), size)
    # One column at a time, so that only one unshuffled copy is in memory.
    user_ids, user = _index_ids(raw, "user", order)
    item_ids, item = _index_ids(raw, "item", order)
    rating = gather(_column(raw, "rating", np.dtype(np.float32)), order)
    return Split(user, item, rating, fold, user_ids, item_ids, settings.count)


def _shape(raw: pl.DataFrame | Path) -> tuple[int, list[str]]:
    """Return the number of rows, and the names of the columns."""
    if isinstance(raw, pl.DataFrame):
        return raw.height, raw.columns
    with pq.ParquetFile(raw) as file:
        return file.metadata.num_rows, file.schema_arrow.names


def _pieces(raw: pl.DataFrame | Path, name: str) -> Iterator[pl.Series]:
    """Yield a column, some rows at a time."""
    if isinstance(raw, pl.DataFrame):
        for piece in raw.select(name).iter_slices(AT_A_TIME):
            yield piece[name]
        return
    with pq.ParquetFile(raw) as file:
        for batch in batches(file, [name]):
            yield pl.Series(name, batch[name])


def _column(raw: pl.DataFrame | Path, name: str, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    column, at = np.empty(_shape(raw)[0], dtype=dtype), 0
    for piece in _pieces(raw, name):
        column[at : at + len(piece)] = piece.to_numpy()
        at += len(piece)
    return column


def _check_count(count: int, ratings: int, has_test: bool) -> None:
    if has_test and count != 1:
        raise SettingsError(
            f"split.count is {count}, but the data set brings its own test ratings, which make "
            "one fold: set split.count to 1 and folds to [0]"
        )
    if not has_test and count == 1:
        raise SettingsError(
            "split.count is 1, but the data set brings no test ratings, so one fold would leave "
            "nothing to train on: set split.count to 2 or more, such as 5"
        )
    if count > ratings:
        raise SettingsError(
            f"split.count is {count}, but there are only {ratings} ratings, so some folds would "
            f"be empty: set split.count to at most {ratings}, or use more ratings"
        )


def _own_folds(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    if flags.all() or not flags.any():
        missing = "training" if flags.any() else "test"
        raise DataError(
            "the data set should bring its own training and test ratings, but there are no "
            f"{missing} ratings among its {flags.size}: check its files"
        )
    return np.where(flags, np.uint8(0), np.uint8(TRAIN_ONLY))


def _index_ids(
    raw: pl.DataFrame | Path, name: str, order: npt.NDArray[np.integer[Any]]
) -> tuple[pl.Series, Indices]:
    """Return the distinct ids, ascending, and each row's index among them, in an order of rows."""
    if next(_pieces(raw, name)).dtype == pl.String:
        ids, index = _index_text(raw, name)
        return ids, gather(index, order)
    column = StreamedColumn(
        name, _shape(raw)[0], lambda: (p.cast(pl.Int64).to_numpy() for p in _pieces(raw, name))
    )
    table, index = index_ids(column)
    return pl.Series(name, table.values), gather(index, order)


def _index_text(raw: pl.DataFrame | Path, name: str) -> tuple[pl.Series, Indices]:
    found = DistinctIds()
    for piece in _pieces(raw, name):
        found.add(piece)
    ids = found.series.sort()
    places, index, at = pl.Enum(ids), np.empty(_shape(raw)[0], dtype=np.uint32), 0
    for piece in _pieces(raw, name):
        index[at : at + len(piece)] = piece.cast(places).to_physical().to_numpy()
        at += len(piece)
    return ids, index


def report(split: Split) -> dict[str, Any]:
    """Describe a split: sizes, folds, cold users and items, duplicates, rating range.

    Returns
    -------
    dict
        JSON-serialisable: ``ratings``, ``users``, ``items``; ``rating``: ``min``, ``max``,
        ``mean``, in stars; ``duplicates``: ``pairs`` that occur more than once and their
        ``surplus_ratings`` beyond the first; ``folds``: for each, ``train`` and ``test`` ratings,
        ``cold_users`` and ``cold_items`` (tested but without a training rating) and
        ``cold_ratings``, the test ratings of these users and items.
    """
    return {
        "ratings": split.rating.size,
        "users": split.user_ids.len(),
        "items": split.item_ids.len(),
        "rating": {
            "min": float(split.rating.min()),
            "max": float(split.rating.max()),
            "mean": float(np.mean(split.rating, dtype=np.float64)),
        },
        "duplicates": _count_duplicates(split),
        "folds": _describe_folds(split),
    }


def _describe_folds(split: Split) -> list[dict[str, int]]:
    """Describe each fold. Cold rows lie in one fold only, so the time is linear in the ratings."""
    user_home = _single_fold(split.user, split.fold, split.user_ids.len())
    item_home = _single_fold(split.item, split.fold, split.item_ids.len())
    touched = np.zeros(256, dtype=np.int64)
    for part in parts(split.fold.size):
        cold = (user_home[split.user[part]] >= 0) | (item_home[split.item[part]] >= 0)
        touched += np.bincount(split.fold[part][cold], minlength=256)
    test = count_each(split.fold, 256)
    cold_users = np.bincount(user_home[user_home >= 0], minlength=256)
    cold_items = np.bincount(item_home[item_home >= 0], minlength=256)
    return [
        {
            "train": split.fold.size - int(test[number]),
            "test": int(test[number]),
            "cold_users": int(cold_users[number]),
            "cold_items": int(cold_items[number]),
            "cold_ratings": int(touched[number]),
        }
        for number in range(split.count)
    ]


def _single_fold(index: Indices, fold: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.int16]:
    """Return for each row the fold that holds all its ratings, or -1 if several folds do."""
    home = np.empty(size, dtype=np.int16)
    for part in parts(fold.size):
        home[index[part]] = fold[part]
    for part in parts(fold.size):
        rows, folds = index[part], fold[part]
        # A row found in several folds stays at -1, which equals no fold.
        home[rows[home[rows] != folds]] = -1
    return home


def _count_duplicates(split: Split) -> dict[str, int]:
    """Count duplicate pairs as runs of equal 64-bit keys, one sorted key per rating."""
    keys = split.user.astype(np.uint64)
    keys *= np.uint64(split.item_ids.len())
    keys += split.item
    keys.sort()
    surplus = continued = 0
    for part in parts(keys.size):
        here = keys[part.start : part.stop + 2]  # each with the two behind it
        repeats = here[1:] == here[:-1]
        surplus += int(np.count_nonzero(repeats[: part.stop - part.start]))
        continued += int(np.count_nonzero(repeats[1:] & repeats[:-1]))
    return {"pairs": surplus - continued, "surplus_ratings": surplus}
