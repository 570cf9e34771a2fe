"""Read clicks from a Parquet file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars.exceptions import PanicException, PolarsError

from mascot_jax.clicks.formats.columns import Places, find_places
from mascot_jax.clicks.formats.rules import check_kinds
from mascot_jax.clicks.formats.table import Table
from mascot_jax.clicks.raw import FRAME_ROWS, LABEL, category_name, dense_name
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
    names = _names(places, schema.names)
    twice = [name for name in names if schema.names.count(name) > 1]
    if twice:  # by position; Arrow reads by name only
        raise DataError(f"{member.label}: column {twice[0]!r} is twice there: rename one")
    empty = schema.empty_table()
    kinds = {
        f"{what} {name}": _series(empty[name]).dtype
        for what, name in zip(_kinds(places), names, strict=True)
    }
    check_kinds(member.label, kinds)
    return Table(
        places.schema,
        places.label is not None,
        partial(_frames, member, places, names, columns.positive),
    )


def _kinds(places: Places) -> list[str]:
    label = [] if places.label is None else ["label"]
    return label + ["dense"] * len(places.dense) + ["categories"] * len(places.categories)


def _names(places: Places, there: list[str]) -> list[str]:
    """Return the file's name of each column: label, numbers, ids."""
    label = [] if places.label is None else [places.label]
    return [there[at] for at in [*label, *places.dense.values(), *places.categories.values()]]


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
                yield _frame(member, places, [_series(table[n]) for n in names], positive, start)
                start += table.num_rows
    except (pa.ArrowException, PolarsError, PanicException, OSError) as error:
        raise _damaged(member, error) from error


def _frame(
    member: Member,
    places: Places,
    columns: list[pl.Series],
    positive: float | None,
    start: int,
) -> pl.DataFrame:
    made: dict[str, pl.Series] = {}
    given = iter(columns)
    if places.label is not None:
        made[LABEL] = _labels(member, next(given), positive, start)
    for number, name in enumerate(places.dense):
        made[dense_name(number)] = _numbers(member, next(given), name, start)
    for number in range(len(places.categories)):
        ids = next(given).cast(pl.String).replace("", None)
        made[category_name(number)] = ids
    return pl.DataFrame(made)


def _labels(member: Member, labels: pl.Series, positive: float | None, start: int) -> pl.Series:
    values = labels.cast(pl.Float32)
    fits = values.is_in([0.0, 1.0]) if positive is None else values.is_finite()
    _check(member, fits, labels, "the label", "0 or 1" if positive is None else "finite", start)
    made = values if positive is None else values >= positive
    return made.cast(pl.UInt8)


def _numbers(member: Member, numbers: pl.Series, name: str, start: int) -> pl.Series:
    values = numbers.cast(pl.Float32)
    _check(member, values.is_finite() | values.is_null(), numbers, name, "finite, or null", start)
    return values


def _check(
    member: Member, fits: pl.Series, values: pl.Series, what: str, allowed: str, start: int
) -> None:
    bad = (~fits.fill_null(False)).arg_true()
    if bad.len():
        raise DataError(
            f"{member.label}, row {start + bad[0] + 1}: {what} is {values[bad[0]]!r}: must be "
            f"{allowed}"
        )


def _damaged(member: Member, error: BaseException) -> DataError:
    reason = (str(error).splitlines() or ["damaged"])[0]
    return DataError(f"{member.label}: not a whole Parquet file ({reason})")
