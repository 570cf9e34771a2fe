"""Read ratings, or pairs, from a Parquet file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
ROWS_AT_A_TIME = 1 << 20


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


def read_parquet_pieces(
    member: Member, columns: Columns, keys: tuple[str, ...] = RATINGS
) -> Iterator[pl.DataFrame]:
    """Read a Parquet file, piece by piece: frames as of ``read_parquet``.

    Ids that are decimals are read in one piece: whether they are integers is decided by all.
    """
    kinds = _read(member, columns, keys, rows=False).schema
    if any(kinds[key].is_decimal() for key in ("user", "item")):
        yield read_parquet(member, columns, keys)
        return
    first = 0
    for frame in _read_pieces(member, columns, keys):
        yield usable_columns(member.label, frame, first)
        first += frame.height
    if not first:
        usable_columns(member.label, pl.DataFrame(schema=kinds))  # which says that it is empty


def check_columns(member: Member, columns: Columns, keys: tuple[str, ...]) -> None:
    """Raise a DataError if the file has not the columns, or not of usable types."""
    _read(member, columns, keys, rows=False)


def _read(member: Member, columns: Columns, keys: tuple[str, ...], *, rows: bool) -> pl.DataFrame:
    """Return the wanted columns, with all rows or none."""
    # Arrow reads it: on some damaged files, polars' reader allocates so much that it aborts.
    with _whole(member), pq.ParquetFile(member.path) as file:
        names = _names(member, file, columns, keys)
        table = file.read(list(names.values())) if rows else file.schema_arrow.empty_table()
        return _frame(table, names)


def _read_pieces(member: Member, columns: Columns, keys: tuple[str, ...]) -> Iterator[pl.DataFrame]:
    """Yield the wanted columns, ``ROWS_AT_A_TIME`` rows or fewer at a time."""
    with _whole(member), pq.ParquetFile(member.path) as file:
        names = _names(member, file, columns, keys)
        for batch in batches(file, list(names.values())):
            yield _frame(pa.Table.from_batches([batch]), names)


def batches(file: pq.ParquetFile, names: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield columns of a file, ``ROWS_AT_A_TIME`` rows or fewer at a time, none of them empty.

    Arrow keeps what it has read of all row groups that it is asked for at once.
    """
    for group in range(file.num_row_groups):
        for batch in file.iter_batches(ROWS_AT_A_TIME, row_groups=[group], columns=names):
            if batch.num_rows:
                yield batch


@contextmanager
def _whole(member: Member) -> Iterator[None]:
    """Turn an error of a block that reads a file into a DataError."""
    try:
        yield
    except (pa.ArrowException, PolarsError, PanicException, OSError, UnicodeDecodeError) as error:
        reason = (str(error).splitlines() or ["damaged"])[0]
        raise DataError(f"{member.label}: not a whole Parquet file ({reason})") from error


def _names(
    member: Member, file: pq.ParquetFile, columns: Columns, keys: tuple[str, ...]
) -> dict[str, str]:
    """Return the file's name for each wanted column, whose type is checked."""
    schema = file.schema_arrow
    found = f"the file has {schema.names}"
    places = find_places(member.label, wanted_columns(columns, keys), schema.names, found)
    names = {key: schema.names[place] for key, place in places.items()}
    for name in names.values():
        if schema.names.count(name) > 1:  # by position; Arrow reads by name only
            raise DataError(f"{member.label}: column {name!r} is twice there: rename one")
    empty = schema.empty_table()
    kinds = pl.DataFrame({k: _column(empty[n]) for k, n in names.items()}).schema
    check_kinds(member.label, names, kinds)
    return names


def _frame(table: pa.Table, names: dict[str, str]) -> pl.DataFrame:
    table.validate(full=True)  # polars assumes that all text is valid UTF-8
    return pl.DataFrame({key: _column(table[name]) for key, name in names.items()})


def _column(column: pa.ChunkedArray) -> pl.Series:
    """Return a column as a series; UUIDs as their text."""
    if isinstance(column.type, pa.UuidType):
        values = [None if v is None else str(v) for v in column.to_pylist()]
        return pl.Series(values, dtype=pl.String)
    series = pl.from_arrow(column)
    assert isinstance(series, pl.Series)  # always, for a column
    return series
