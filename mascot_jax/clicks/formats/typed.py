"""Rows of tables whose columns have types, such as Parquet's and those of data frames."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from mascot_jax.clicks.formats.columns import Places
from mascot_jax.clicks.raw import LABEL, category_name, dense_name
from mascot_jax.errors import DataError


def names_of(places: Places, there: Sequence[str]) -> list[str]:
    """Return the file's name of each wanted column: label, numbers, ids."""
    label = [] if places.label is None else [places.label]
    return [there[at] for at in [*label, *places.dense.values(), *places.categories.values()]]


def check_kinds(label: str, places: Places, columns: Sequence[pl.Series]) -> None:
    """Raise a DataError if a column cannot hold labels, numbers or ids.

    Parameters
    ----------
    label : str
        The table's name in messages.
    places : Places
        The wanted columns.
    columns : sequence of polars.Series
        These columns, in the order of `names_of`; they may be empty.
    """
    keys = [] if places.label is None else ["label"]
    keys += ["dense"] * len(places.dense) + ["categories"] * len(places.categories)
    for key, column in zip(keys, columns, strict=True):
        kind = column.dtype
        if key == "categories":
            text = isinstance(kind, pl.String | pl.Categorical | pl.Enum)
            fits = text or kind.is_integer() or kind.is_decimal() or kind == pl.Boolean
        else:
            fits = kind.is_numeric() or kind == pl.Boolean
        if not fits:
            needed = "integers or text" if key == "categories" else "numbers"
            raise DataError(
                f"{label}: column {column.name!r} (data.columns.{key}) is {kind}; it must be "
                f"{needed}: cast it, and write the table again"
            )


def typed_frame(
    label: str,
    places: Places,
    columns: Sequence[pl.Series],
    positive: float | None,
    start: int = 0,
) -> pl.DataFrame:
    """Return a frame as `RawClicks.frames` yields it.

    Parameters
    ----------
    label : str
        The table's name in messages.
    places : Places
        The wanted columns.
    columns : sequence of polars.Series
        These columns, in the order of `names_of`, of kinds that `check_kinds` allows.
    positive : float or None
        A label is 1 from this value on; None: labels are 0 or 1.
    start : int
        Rows before these.

    Raises
    ------
    DataError
        A label or a number is not as it must be; the message has its row, from 1.
    """
    made: dict[str, pl.Series] = {}
    given = iter(columns)
    if places.label is not None:
        made[LABEL] = _labels(label, next(given), positive, start)
    for number, name in enumerate(places.dense):
        made[dense_name(number)] = _numbers(label, next(given), name, start)
    for number in range(len(places.categories)):
        made[category_name(number)] = next(given).cast(pl.String).replace("", None)
    return pl.DataFrame(made)


def _labels(label: str, labels: pl.Series, positive: float | None, start: int) -> pl.Series:
    values = labels.cast(pl.Float32)
    fits = values.is_in([0.0, 1.0]) if positive is None else values.is_finite()
    _check(label, fits, labels, "the label", "0 or 1" if positive is None else "finite", start)
    made = values if positive is None else values >= positive
    return made.cast(pl.UInt8)


def _numbers(label: str, numbers: pl.Series, name: str, start: int) -> pl.Series:
    values = numbers.cast(pl.Float32)
    _check(label, values.is_finite() | values.is_null(), numbers, name, "finite, or null", start)
    return values


def _check(
    label: str, fits: pl.Series, values: pl.Series, what: str, allowed: str, start: int
) -> None:
    bad = (~fits.fill_null(False)).arg_true()
    if bad.len():
        raise DataError(
            f"{label}, row {start + bad[0] + 1}: {what} is {values[bad[0]]!r}: must be {allowed}"
        )
