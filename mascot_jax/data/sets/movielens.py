"""Data sets ``ml-*``: GroupLens' MovieLens ratings."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import polars as pl

from mascot_jax.data.archive import open_members
from mascot_jax.data.formats.delimited import read_delimited
from mascot_jax.data.formats.dialect import Dialect
from mascot_jax.data.sets.data_set import DataSet
from mascot_jax.settings import Columns, TimedColumns

_FOLDER = "https://files.grouplens.org/datasets/movielens"
_TERMS = (
    "For research use under GroupLens' terms, which ask for no redistribution without permission "
    "and for a citation of: F. M. Harper and J. A. Konstan, The MovieLens Datasets: History and "
    "Context, ACM TiiS 5(4), 2015."
)


def _read(
    source: Path,
    _: Columns,
    keys: tuple[str, ...],
    *,
    name: str,
    dialect: Dialect,
    columns: TimedColumns,
) -> pl.DataFrame:
    with open_members(source, [name]) as members:
        return read_delimited(members.one(name), dialect, columns, keys)


def _movielens(name: str, digest: str | None, file: str, separator: str, low: float) -> DataSet:
    header = file.endswith(".csv")
    columns = (
        TimedColumns(user="userId", item="movieId", rating="rating", time="timestamp")
        if header
        else TimedColumns(user="0", item="1", rating="2", time="3")
    )
    # A line without its fourth field, the time, has been cut.
    dialect = Dialect(separator, width=4, bounds=(low, 5.0))
    reader = partial(_read, name=file, dialect=dialect, columns=columns)
    url = f"{_FOLDER}/{name}.zip"
    if digest is None:
        how = f"It changes from time to time: download {url} and set data.source to that file"
        return DataSet(name, None, None, reader, dialect.bounds, _TERMS, how)
    return DataSet(name, url, digest, reader, dialect.bounds, _TERMS)


# GroupLens publishes an MD5 beside each archive that stays as it is. In November 2026, several
# public code bases had each of these values and none had another; GroupLens' own files were not
# read.
MOVIELENS = (
    _movielens("ml-100k", "md5:0e33842e24a9c977be4e0107933c0723", "u.data", "\t", 1.0),
    _movielens("ml-1m", "md5:c4d9eecfca2ab87c1945afe126590906", "ratings.dat", "::", 1.0),
    _movielens("ml-10m", "md5:ce571fd55effeba0271552578f2648bd", "ratings.dat", "::", 0.5),
    _movielens("ml-20m", "md5:cd245b17a1ae2cc31bb14903e1204af3", "ratings.csv", ",", 0.5),
    _movielens("ml-25m", "md5:6b51fb2759a8657d3bfcbfc42b592ada", "ratings.csv", ",", 0.5),
    _movielens("ml-32m", "md5:d472be332d4daa821edc399621853b57", "ratings.csv", ",", 0.5),
    _movielens("ml-latest-small", None, "ratings.csv", ",", 0.5),
    _movielens("ml-latest", None, "ratings.csv", ",", 0.5),
)
