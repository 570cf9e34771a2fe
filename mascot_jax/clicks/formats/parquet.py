"""Read clicks from a Parquet file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars.exceptions import PanicException, PolarsError

from mascot_jax.clicks.formats.columns import Places, find_places
from mascot_jax.clicks.formats.table import Table
from mascot_jax.clicks.formats.typed import check_kinds, names_of, typed_frame
from mascot_jax.clicks.raw import FRAME_ROWS
from mascot_jax.data.archive import Member
from mascot_jax.errors import DataError
from mascot_jax.settings import ClickColumns


def open_parquet(member: Member, columns: ClickColumns, *, labelled: bool | None) -> Table:
    """Find the columns of a Parquet file; its rows are read from the table.

    Raises
    ------
    DataError
        The file is damaged, a column is missing or has a wrong type; the rows raise it for a
        malformed one, with its number, from 1.
    """
    try:
        with pq.ParquetFile(member.path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise _damaged(member, error) from error
    if not rows:
        raise DataError(f"{member.label}: the file has no rows; it should hold clicks")
    places = find_places(member.label, columns, schema.names, labelled=labelled)
    names = names_of(places, schema.names)
    twice = [name for name in names if schema.names.count(name) > 1]
    if twice:  # by position; Arrow reads by name only
        raise DataError(f"{member.label}: column {twice[0]!r} is twice there: rename one")
    empty = schema.empty_table()
    check_kinds(member.label, places, [_series(empty[n]).alias(n) for n in names])
    return Table(
        places.schema,
        places.label is not None,
        partial(_frames, member, places, names, columns.positive),
    )


def _series(column: pa.ChunkedArray) -> pl.Series:
    series = pl.from_arrow(column)
    assert isinstance(series, pl.Series)  # always, for a column
    return series


def _frames(
    member: Member, places: Places, names: list[str], positive: float | None
) -> Iterator[pl.DataFrame]:
    start = 0
    try:
        with pq.ParquetFile(member.path) as file:
            for batch in file.iter_batches(batch_size=FRAME_ROWS, columns=names):
                batch.validate(full=True)  # polars assumes that all text is valid UTF-8
                table = pa.Table.from_batches([batch])
                columns = [_series(table[name]) for name in names]
                yield typed_frame(member.label, places, columns, positive, start)
                start += table.num_rows
    except (pa.ArrowException, PolarsError, PanicException, OSError) as error:
        raise _damaged(member, error) from error


def _damaged(member: Member, error: BaseException) -> DataError:
    reason = (str(error).splitlines() or ["damaged"])[0]
    return DataError(f"{member.label}: not a whole Parquet file ({reason})")
