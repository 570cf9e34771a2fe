"""Read ratings, or pairs, from a path: one's own, or the archive of a data set known by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from mascot_jax.data.formats.columns import RATINGS
from mascot_jax.data.formats.own import open_own, read_own
from mascot_jax.data.pieces import RatingsInPieces
from mascot_jax.data.place import STANDARD_INPUT, split_place
from mascot_jax.data.sets import DATA_SETS, DataSet
from mascot_jax.errors import DataError
from mascot_jax.settings import Columns
from mascot_jax.settings.naming import renamed


def read_ratings(
    path: str | os.PathLike[str],
    *,
    user: str = "user",
    item: str = "item",
    rating: str = "rating",
    separator: str | None = None,
) -> pl.DataFrame:
    """Read ratings from a file, for ``MatrixFactorization.fit``.

    Parameters
    ----------
    path
        Text with any separator, Parquet or NumPy's ``.npz``, also compressed (gz, bz2, xz, zst); a
        folder with the parts of a table; an archive (zip, tar), of whose files the one with the
        columns is read; a file in it, as ``x.zip:ratings.csv``; ``-`` for standard input; or the
        archive of a data set known by name, such as ``ml-1m.zip``.
    user, item, rating
        Names of the columns, or their positions from 0.
    separator
        What stands between the columns of a text file; None finds it out.

    Returns
    -------
    polars.DataFrame, shape (ratings, 3)
        ``user`` and ``item`` (Int64 if each id is an integer, otherwise String) and ``rating``
        (Float32), in file order.

    Raises
    ------
    DataError
        There is no such file, a column is missing, or a row is malformed.
    """
    columns = Columns(user=user, item=item, rating=rating, separator=separator)
    with _in_own_words():
        return read_table(os.fspath(path), columns)


def read_table(
    place: str,
    columns: Columns,
    keys: tuple[str, ...] = RATINGS,
    *,
    pairs_will_do: bool = False,
) -> pl.DataFrame:
    """Read the wanted columns, as `read_ratings` does; messages use the names of ``params.yaml``.

    Parameters
    ----------
    place : str
        As ``path`` above.
    columns : Columns
        Columns to read. If none is chosen, an archive or folder with the name of a known data set
        is read as that.
    keys : tuple of str
        ``user``, ``item`` and, of ratings, ``rating``, perhaps ``time``.
    pairs_will_do : bool
        Whether a file may have two columns, of users and items; there are no ratings then.
    """
    known = _known(place, columns)
    if known:
        return known.reader(split_place(place)[0], columns, keys).select(keys)
    frame = read_own(place, columns, keys, pairs_will_do=pairs_will_do)
    return frame.select(key for key in keys if key in frame.columns)


@contextmanager
def open_ratings(
    path: str | os.PathLike[str],
    *,
    user: str = "user",
    item: str = "item",
    rating: str = "rating",
    separator: str | None = None,
) -> Iterator[RatingsInPieces]:
    """Yield ratings of a file that memory does not hold, for ``MatrixFactorization.fit``.

    They are read piece by piece, once here for the ids, and again wherever they are used inside of
    the block. The archive of a data set known by name is held in memory.

    Parameters
    ----------
    path, user, item, rating, separator
        As for ``read_ratings``.

    Raises
    ------
    DataError
        As in ``read_ratings``.
    """
    columns = Columns(user=user, item=item, rating=rating, separator=separator)
    with _in_own_words(), open_table(os.fspath(path), columns) as ratings:
        yield ratings


@contextmanager
def _in_own_words() -> Iterator[None]:
    """Make errors name columns as arguments, not as ``params.yaml``."""
    try:
        yield
    except DataError as error:
        error.args = (renamed(str(error), str),)
        raise


@contextmanager
def open_table(place: str, columns: Columns) -> Iterator[RatingsInPieces]:
    """Yield what `read_table` reads, without holding it; of a known data set's archive, all of it.

    Files that archives and pipes are unpacked into last as long as the block.
    """
    known = _known(place, columns)
    if known:
        frame = known.reader(split_place(place)[0], columns, RATINGS).select(RATINGS)
        yield RatingsInPieces(lambda: iter([frame]))
        return
    with open_own(place, columns) as pieces:
        yield RatingsInPieces(pieces)


def _known(place: str, columns: Columns) -> DataSet | None:
    """Return the data set known by the name of a place, which must exist; None if there is none."""
    source, member = split_place(place)
    if place != STANDARD_INPUT and not source.exists():
        raise DataError(f"{place}: there is no such file")
    if member is not None or columns != type(columns)() or not _may_be_known(source):
        return None
    return DATA_SETS.get(source.stem.lower())


def _may_be_known(source: Path) -> bool:
    return source.is_dir() or source.suffix.lower() == ".zip"
