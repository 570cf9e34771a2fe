"""What the fields of click data may hold, the same for whole columns and for single fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from mascot_jax.data.formats.values import rating_problem

LABELS: Final = {
    **dict.fromkeys(("0", "0.0", "false", "False", "FALSE"), 0),
    **dict.fromkeys(("1", "1.0", "true", "True", "TRUE"), 1),
}
"""Labels as written."""
LOWEST_COUNT: Final = -3
"""Criteo's counts begin here."""
_COUNT: Final = re.compile(r"[+-]?[0-9]{1,18}")
_BEYOND_COUNTS: Final = 10**18


@dataclass(frozen=True)
class Rules:
    """Rules of a format.

    Attributes
    ----------
    positive : float or None
        A label is 1 from this value on; None: it is one of `LABELS`.
    counts : bool
        Numbers are whole and at least `LOWEST_COUNT`, as Criteo's.
    patterns : mapping of str to str
        Regular expression for the ids of a column that are not empty, by the column's name, and
        what an id is, for messages.
    """

    positive: float | None = None
    counts: bool = False
    patterns: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def labels(self, texts: pl.Series) -> pl.Series | None:
        """Return labels as UInt8, or None if one is not as it must be."""
        if self.positive is None:
            labels = texts.replace_strict(LABELS, default=None, return_dtype=pl.UInt8)
            return None if labels.null_count() else labels
        values = texts.cast(pl.Float32, strict=False)
        if values.null_count() or not values.is_finite().all():
            return None
        return (values >= self.positive).cast(pl.UInt8)

    def numbers(self, texts: pl.Series) -> pl.Series | None:
        """Return numbers as Float32, null where missing, or None if one is not as it must be."""
        missing = texts.is_null() | (texts == "").fill_null(True)
        values = texts.cast(pl.Int64 if self.counts else pl.Float32, strict=False)
        if values.null_count() != missing.sum():
            return None
        if self.counts:
            lowest, highest = values.min(), values.max()
            bad = lowest is not None and not LOWEST_COUNT <= lowest <= highest < _BEYOND_COUNTS  # type: ignore[operator]
            return None if bad else values.cast(pl.Float32)
        return values if values.is_finite().all() else None

    def ids(self, texts: pl.Series, column: str) -> pl.Series | None:
        """Return ids, null where missing, or None if one is not as it must be."""
        if column in self.patterns:
            fits = texts.str.contains(f"^(?:{self.patterns[column][0]})?$")
            if not fits.fill_null(True).all():
                return None
        return texts.replace("", None)

    def label_problem(self, text: str) -> str | None:
        """Return the problem with a label, or None."""
        if self.positive is None:
            return None if text in LABELS else f"the label {text[:20]!r} is not 0 or 1"
        problem = rating_problem(text, None)
        return problem and problem.replace("rating", "label")

    def number_problem(self, text: str, column: str) -> str | None:
        """Return the problem with a number, or None."""
        if text == "":
            return None
        if not self.counts:
            problem = rating_problem(text, None)
            return problem and f"{column}: " + problem.replace("rating", "number")
        if _COUNT.fullmatch(text) is None:
            return (
                f"{column}: the count {text[:20]!r} is no whole number in digits from 0 to 9, with "
                "at most 18 of them"
            )
        if int(text) < LOWEST_COUNT:
            return f"{column}: the count {text} is below {LOWEST_COUNT}, where Criteo's begin"
        return None

    def id_problem(self, text: str, column: str) -> str | None:
        """Return the problem with an id, or None."""
        if column not in self.patterns or text == "":
            return None
        pattern, what = self.patterns[column]
        return None if re.fullmatch(pattern, text) else f"{column}: {text[:20]!r} is not {what}"
