"""Check the columns of formats with types, and make ids and ratings of them."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from mascot_jax.data.formats.values import narrow_ids
from mascot_jax.errors import DataError


def check_kinds(label: str, wanted: Mapping[str, str], schema: pl.Schema) -> None:
    """Raise a DataError if a column, named as the file names it, cannot hold ids or ratings.

    Parameters
    ----------
    label : str
        The file's name in messages.
    wanted : mapping
        The file's name for each column, for messages.
    schema : polars.Schema
        Types by the names ``user``, ``item``, ``rating`` and ``time``.
    """
    for key, kind in schema.items():
        name = wanted[key]
        if key == "rating" and not (kind.is_numeric() or kind == pl.Boolean):
            raise DataError(
                f"{label}: column {name!r} (data.columns.{key}) is {kind}; it must be numbers: "
                f"cast it, such as with polars' cast(pl.Float32), and write it again"
            )
        text = isinstance(kind, pl.String | pl.Categorical | pl.Enum)
        dated = kind.is_temporal() and kind != pl.Duration
        if key == "time" and not (kind.is_numeric() or dated or text):
            raise DataError(
                f"{label}: column {name!r} (data.columns.{key}) is {kind}; it must be numbers, "
                "dates or text"
            )
        if key in ("user", "item") and not (kind.is_integer() or kind.is_decimal() or text):
            raise DataError(
                f"{label}: column {name!r} (data.columns.{key}) is {kind}; it must be integers or "
                "text: cast it, such as with polars' cast(pl.String), and write it again"
            )


def usable_columns(label: str, frame: pl.DataFrame, first: int = 0) -> pl.DataFrame:
    """Return ids as Int64 if all are integers, otherwise as String, and ratings as Float32.

    ``first`` is the number of the frame's first row in the file, from 0.

    Raises
    ------
    DataError
        There is no row, or a row has no id or no finite rating; the message has its number, from 1.
    """
    if frame.is_empty():
        raise DataError(f"{label}: the file has no rows; it should hold ratings")
    ids = [_as_id(frame[key]) for key in ("user", "item")]
    others = frame.select(
        pl.col(name).cast(pl.Float32) if name == "rating" else name
        for name in ("rating", "time")
        if name in frame.columns
    )
    frame = pl.DataFrame([*ids, *others])
    _check_rows(label, frame, first)
    return frame.with_columns(
        narrow_ids(frame[name]) for name in ("user", "item") if frame.schema[name] == pl.String
    )


def _as_id(ids: pl.Series) -> pl.Series:
    """Return the ids as Int64 if every value is an integer that fits, otherwise as String."""
    if ids.dtype.is_integer() or ids.dtype.is_decimal():
        numbers = ids.cast(pl.Int64, strict=False)
        if numbers.null_count() == ids.null_count() and (numbers == ids).all():
            return numbers
    return ids.cast(pl.String)


def _check_rows(label: str, frame: pl.DataFrame, first: int) -> None:
    rules = {
        "user": pl.col("user").is_null() | (pl.col("user").cast(pl.String) == ""),
        "item": pl.col("item").is_null() | (pl.col("item").cast(pl.String) == ""),
        "rating": ~pl.col("rating").is_finite().fill_null(False),
    }
    for name in rules:
        if name not in frame.columns:
            continue
        rows = frame.select(rules[name].arg_true()).to_series()
        if rows.len():
            row = rows[0]
            raise DataError(
                f"{label}, row {first + row + 1}: {name} is {frame[name][row]!r}; "
                + ("a rating is a finite number" if name == "rating" else "an id is not empty")
            )
