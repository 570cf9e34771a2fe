"""Rules for ratings and ids, the same for whole columns and single fields."""

from __future__ import annotations

import math
import re

import polars as pl

from mascot_jax.errors import DataError

# Numbers as polars reads them: without "1_0" and non-ASCII digits, which Python allows.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_YEAR_FIRST = r"^\d{4}[-/]"
_FLOAT32_MAX = 3.4028235677973366e38

Bounds = tuple[float, float]


def is_number(text: str, *, comma: bool = False) -> bool:
    """Return whether a text, blanks aside, is a number; ``comma`` allows a decimal comma."""
    return _NUMBER.fullmatch(_with_point(text.strip(), comma)) is not None


def _with_point(text: str, comma: bool) -> str:
    return text.replace(",", ".", 1) if comma and "." not in text else text


def parse_ratings(texts: pl.Series, *, comma: bool = False) -> pl.Series:
    """Return a String column of ratings as Float32; any other text than a number becomes null.

    ``comma`` allows decimal commas. A series, such as a piece of a file, has these or points;
    where it has both, those with a comma become null (`mixed_decimals`).
    """
    ratings = texts.cast(pl.Float32, strict=False)
    if comma and ratings.null_count() and not texts.str.contains(".", literal=True).any():
        return texts.str.replace(",", ".", literal=True).cast(pl.Float32, strict=False)
    return ratings


def mixed_decimals(texts: pl.Series) -> str | None:
    """Return the problem with ratings some of which have a comma and others a point, or None."""
    commas, points = (texts.filter(texts.str.contains(mark, literal=True)) for mark in ",.")
    if commas.is_empty() or points.is_empty():
        return None
    return (
        f"ratings have decimal commas and points, such as {commas[0]!r} and {points[0]!r}: use one"
    )


def parse_times(times: pl.Series, label: str) -> pl.Series:
    """Return times in their order: text that is numbers, or dates in ISO 8601, as such.

    The first time decides which. Dates begin with the year: of "3/4/2024" nobody knows the month.

    Raises
    ------
    DataError
        A time is missing, or is neither; the message has ``label``, the file's name, and its row.
    """
    if isinstance(times.dtype, pl.Categorical | pl.Enum):
        times = times.cast(pl.String)
    found = _parse_text(times) if times.dtype == pl.String else times
    bad = found.is_null() | (found.is_nan() if found.dtype.is_float() else False)
    if bad.any():
        row = bad.arg_true()[0]
        raise DataError(
            f"{label}: the time of rating {row + 1} is {times[row]!r}: times are numbers, or dates "
            "such as 2024-01-31 12:00:00"
        )
    return found


def _parse_text(times: pl.Series) -> pl.Series:
    """Return times of text as integers, floats or datetimes; null where they are not."""
    if times.head(1).cast(pl.Float64, strict=False).null_count():
        dates = times.to_frame("time").select(
            pl.when(pl.col("time").str.contains(_YEAR_FIRST)).then("time")
        )
        return dates["time"].str.to_datetime(strict=False, time_zone="UTC")
    integers = times.cast(pl.Int64, strict=False)
    return times.cast(pl.Float64, strict=False) if integers.null_count() else integers


def ratings_usable(ratings: pl.Series, bounds: Bounds | None) -> bool:
    """Return whether every rating is present, finite and within `bounds` (inclusive)."""
    if ratings.null_count() or not ratings.is_finite().all():
        return False
    return bounds is None or bool(ratings.is_between(*bounds).all())


def rating_problem(text: str, bounds: Bounds | None, *, comma: bool = False) -> str | None:
    """Return the problem with one rating, or None.

    Parameters
    ----------
    text : str
        The rating as written.
    bounds : (float, float) or None
        Lowest and highest rating of the data set, if known.
    comma : bool
        Allow a decimal comma.
    """
    rule = "a rating is a finite number"
    if bounds is not None:
        rule = f"a rating of this data set is a number from {bounds[0]:g} to {bounds[1]:g}"
    if text.strip().lower().lstrip("+-") in ("nan", "inf", "infinity"):
        return f"the rating {text!r} is not finite; {rule}"
    number = _with_point(text, comma)
    if _NUMBER.fullmatch(number) is None:
        return f"the rating {text[:20]!r} is not a number; {rule}"
    value = float(number)
    if not math.isfinite(value) or abs(value) >= _FLOAT32_MAX:
        return f"the rating {text[:20]!r} is too large for 32-bit floats; {rule}"
    if bounds is not None and not bounds[0] <= value <= bounds[1]:
        return f"the rating {text!r} is out of range; {rule}"
    return None


def narrow_ids(ids: pl.Series) -> pl.Series:
    """Return the ids as Int64 if all are integers in canonical form, otherwise unchanged.

    As integers, "007" and "+7" would equal "7", so one such id keeps the column String.
    """
    numbers = ids.cast(pl.Int64, strict=False)
    return numbers if ids.eq_missing(numbers.cast(pl.String)).all() else ids


def stack(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Concatenate the pieces of one file; an id column that is String in one is String in all."""
    for name in ("user", "item"):
        kinds = {frame.schema[name] for frame in frames}
        if len(kinds) > 1:
            frames = [frame.with_columns(pl.col(name).cast(pl.String)) for frame in frames]
    return pl.concat(frames)
