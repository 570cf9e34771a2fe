"""Read ratings, or pairs, from a Parquet file."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars.exceptions import PanicException, PolarsError

from mascot_jax.data.archive import Member
from mascot_jax.data.formats.columns import RATINGS, find_places, wanted_columns
from mascot_jax.data.formats.frames import check_kinds, usable_columns
from mascot_jax.errors import DataError
from mascot_jax.settings import Columns

_MARK = b"PAR1"


def is_parquet(path: Path) -> bool:
    """Return whether a file begins as Parquet files do."""
    with path.open("rb") as stream:
        return stream.read(len(_MARK)) == _MARK


def read_parquet(member: Member, columns: Columns, keys: tuple[str, ...] = RATINGS) -> pl.DataFrame:
    """Read a Parquet file.

    Parameters
    ----------
    member : Member
        The file.
    columns : Columns
        Columns of user and item (integers, decimals, text or UUIDs), of rating (numbers), and of
        time.
    keys : tuple of str
        The columns to read.

    Returns
    -------
    polars.DataFrame, shape (ratings, columns)
        ``user`` and ``item`` (Int64 or String), ``rating`` (Float32), in file order; ``time`` as it
        is.

    Raises
    ------
    DataError
        The file is damaged or not Parquet, a column is missing or has a wrong type, or a row has
        no id or no finite rating; the message has the row number, from 1.
    """
    return usable_columns(member.label, _read(member, columns, keys, rows=True))


def check_columns(member: Member, columns: Columns, keys: tuple[str, ...]) -> None:
    """Raise a DataError if the file has not the columns, or not of usable types."""
    _read(member, columns, keys, rows=False)


def _read(member: Member, columns: Columns, keys: tuple[str, ...], *, rows: bool) -> pl.DataFrame:
    """Return the wanted columns, with all rows or none."""
    wanted = wanted_columns(columns, keys)
    try:
        # Arrow reads it: on some damaged files, polars' reader allocates so much that it aborts.
        with pq.ParquetFile(member.path) as file:
            schema = file.schema_arrow
            found = f"the file has {schema.names}"
            places = find_places(member.label, wanted, schema.names, found)
            names = {key: schema.names[place] for key, place in places.items()}
            for name in names.values():
                if schema.names.count(name) > 1:  # by position; Arrow reads by name only
                    raise DataError(f"{member.label}: column {name!r} is twice there: rename one")
            empty = schema.empty_table()
            kinds = pl.DataFrame({k: _column(empty[n]) for k, n in names.items()}).schema
            check_kinds(member.label, names, kinds)
            table = file.read(list(names.values())) if rows else empty
        table.validate(full=True)  # polars assumes that all text is valid UTF-8
        return pl.DataFrame({key: _column(table[name]) for key, name in names.items()})
    except (pa.ArrowException, PolarsError, PanicException, OSError, UnicodeDecodeError) as error:
        reason = (str(error).splitlines() or ["damaged"])[0]
        raise DataError(f"{member.label}: not a whole Parquet file ({reason})") from error


def _column(column: pa.ChunkedArray) -> pl.Series:
    """Return a column as a series; UUIDs as their text."""
    if isinstance(column.type, pa.UuidType):
        values = [None if v is None else str(v) for v in column.to_pylist()]
        return pl.Series(values, dtype=pl.String)
    series = pl.from_arrow(column)
    assert isinstance(series, pl.Series)  # always, for a column
    return series
