"""Read ratings from a Parquet file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars.exceptions import PanicException, PolarsError

from mascot_jax.data.archive import Member
from mascot_jax.data.formats.values import narrow_ids
from mascot_jax.errors import DataError
from mascot_jax.settings import Columns


def read_parquet(member: Member, columns: Columns) -> pl.DataFrame:
    """Read a Parquet file.

    Parameters
    ----------
    member : Member
        The file.
    columns : Columns
        Columns of user and item (integers or text), of rating (numbers), and of time.

    Returns
    -------
    polars.DataFrame, shape (ratings, 3)
        ``user`` and ``item`` (Int64 or String), ``rating`` (Float32), in file order; of
        ``TimedColumns`` also ``time``.

    Raises
    ------
    DataError
        The file is damaged or not Parquet, a column is missing or has a wrong type, or a row has
        no id or no finite rating; the message has the row number, from 1.
    """
    wanted = dict(columns)
    frame = read_columns(
        member.path, member.label, wanted, lambda schema: _check_columns(member, wanted, schema)
    )
    if frame.is_empty():
        raise DataError(f"{member.label}: the file has no rows; it should hold ratings")
    frame = frame.select(
        _as_id(frame["user"]),
        _as_id(frame["item"]),
        pl.col("rating").cast(pl.Float32),
        *(name for name in frame.columns if name == "time"),
    )
    _check_rows(member, frame)
    return frame.with_columns(
        narrow_ids(frame[name]) for name in ("user", "item") if frame.schema[name] == pl.String
    )


def read_columns(
    path: Path, label: str, wanted: Mapping[str, str], check: Callable[[pl.Schema], None]
) -> pl.DataFrame:
    """Read some columns of a Parquet file.

    Parameters
    ----------
    path, label : Path, str
        The file, and its name in messages.
    wanted : mapping
        Name of the file's column for each column of the result.
    check : callable
        Raises `DataError` if it refuses the file's schema.

    Raises
    ------
    DataError
        The file is damaged or not Parquet.
    """
    try:
        # Arrow reads it: on some damaged files, polars' reader allocates so much that it aborts.
        with pq.ParquetFile(path) as file:
            check(_schema(file.schema_arrow))
            table = file.read(list(dict.fromkeys(wanted.values())))
        table.validate(full=True)  # polars assumes that all text is valid UTF-8
        return pl.DataFrame({key: pl.from_arrow(table[name]) for key, name in wanted.items()})
    except (pa.ArrowException, PolarsError, PanicException, OSError, UnicodeDecodeError) as error:
        reason = (str(error).splitlines() or ["damaged"])[0]
        raise DataError(f"{label}: not a whole Parquet file ({reason})") from error


def _schema(schema: pa.Schema) -> pl.Schema:
    empty = pl.from_arrow(schema.empty_table())
    assert isinstance(empty, pl.DataFrame)  # always, for a table
    return empty.schema


def _check_columns(member: Member, wanted: Mapping[str, str], schema: pl.Schema) -> None:
    for key, name in wanted.items():
        if name not in schema:
            raise DataError(
                f"{member.label}: column {name!r} (data.columns.{key}) is not there; the file has "
                f"{list(schema)}"
            )
        kind = schema[name]
        text = isinstance(kind, pl.String | pl.Categorical | pl.Enum)
        usable = {
            "rating": kind.is_numeric(),
            "time": kind.is_numeric() or kind.is_temporal() or text,
        }.get(key, kind.is_integer() or text)
        if not usable:
            rules = {"rating": "numbers", "time": "numbers, dates or text"}
            rule = rules.get(key, "integers or text")
            raise DataError(
                f"{member.label}: column {name!r} (data.columns.{key}) is {kind}; it must be {rule}"
            )


def _as_id(ids: pl.Series) -> pl.Series:
    """Return the ids as Int64 if every value fits, otherwise as String."""
    if ids.dtype.is_integer():
        numbers = ids.cast(pl.Int64, strict=False)
        if numbers.null_count() == ids.null_count():
            return numbers
    return ids.cast(pl.String)


def _check_rows(member: Member, frame: pl.DataFrame) -> None:
    rules = {
        "user": pl.col("user").is_null() | (pl.col("user").cast(pl.String) == ""),
        "item": pl.col("item").is_null() | (pl.col("item").cast(pl.String) == ""),
        "rating": ~pl.col("rating").is_finite().fill_null(False),
    }
    for name, broken in rules.items():
        rows = frame.select(broken.arg_true()).to_series()
        if rows.len():
            row = rows[0]
            raise DataError(
                f"{member.label}, row {row + 1}: {name} is {frame[name][row]!r}; "
                + ("a rating is a finite number" if name == "rating" else "an id is not empty")
            )
