"""Find out how a text file of one's own separates its columns, and where they are."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mascot_jax.data.formats.columns import (
    OTHER_NAMES,
    TIMED,
    Wanted,
    are_defaults,
    by_position,
    find_places,
)
from mascot_jax.data.formats.text import any_field_size
from mascot_jax.data.formats.values import Bounds, is_number
from mascot_jax.errors import DataError

BLANKS = " "
"""Separator of columns between any number of spaces and tabs."""
NAMES = {
    "::": "double colons",
    "\t": "tabs",
    ";": "semicolons",
    "|": "pipes",
    ",": "commas",
    BLANKS: "blanks",
}
"""Separators that are found out, with their names in messages."""
WORDS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "blanks": BLANKS}
"""Words for separators that are hard to type."""
HEADERLESS = (".dat", ".data")
"""Suffixes of MovieLens' files, whose columns are user, item and rating in this order."""

_NAME = re.compile(r"[^\W\d]")
_NO_NAMES = ("nan", "inf", "infinity", "null", "none", "na", "n/a")


@dataclass(frozen=True)
class Dialect:
    """Layout of a delimited file.

    Attributes
    ----------
    separator : str
        Field separator; a blank stands for any number of spaces and tabs. A separator of one
        character allows fields in double quotes.
    width : int or None
        Number of fields of every line, none of them empty. None takes the number from the first
        line; then only the columns that are read must not be empty.
    bounds : (float, float) or None
        Lowest and highest rating allowed.
    padded : bool
        Blanks stand beside the separators, and belong to no field.
    """

    separator: str
    width: int | None = None
    bounds: Bounds | None = None
    padded: bool = False

    @property
    def quoted(self) -> bool:
        """Whether fields may be in double quotes."""
        return len(self.separator) == 1

    @property
    def decimal_comma(self) -> bool:
        """Whether a rating may be written with a comma: only where it separates no fields."""
        return self.separator != "," and self.width is None

    @property
    def name(self) -> str:
        """Name of the separator in messages."""
        return NAMES.get(self.separator, f"the separator {self.separator!r}")


@dataclass(frozen=True)
class Layout:
    """What the first lines of a file show.

    Attributes
    ----------
    dialect : Dialect
        How fields are separated.
    header : bool
        Whether the first line names the columns.
    width : int
        Fields of the first line.
    places : dict
        Place of each wanted column.
    good : int
        Sampled lines with all wanted columns and a number for a rating.
    """

    dialect: Dialect
    header: bool
    width: int
    places: dict[str, int]
    good: int = 0


def separator_of(word: str) -> str:
    """Return the separator that a word or the character itself stands for.

    Raises
    ------
    DataError
        It is of several characters, or is one that numbers and quotes need.
    """
    separator = WORDS.get(word.lower(), word)
    if separator != "::" and (
        len(separator) != 1 or separator in "\"'\r\n.+-" or separator.isalnum()
    ):
        raise DataError(
            f"data.columns.separator: {word!r}: must be {', '.join(WORDS)}, :: or one character "
            "that is no letter, digit, point or quote"
        )
    return separator


def split_line(text: str, separator: str) -> list[str]:
    """Return the fields of one line.

    Raises
    ------
    csv.Error
        Its double quotes cannot be understood.
    """
    if separator == "::":
        return text.split(separator)
    if separator == BLANKS:
        text = text.strip().replace("\t", " ")
    with any_field_size():
        reader = csv.reader([text], delimiter=separator, skipinitialspace=separator == BLANKS)
        return next(reader, [])


def find_layout(
    label: str, lines: Sequence[str], wanted: Wanted, separator: str | None, suffix: str
) -> Layout:
    """Find out the layout of a file of one's own.

    Of the separators with which the wanted columns are there, the one is taken with the most usable
    lines; of several, the one with the most columns.

    Parameters
    ----------
    label : str
        The file's name in messages.
    lines : sequence of str
        The first lines of the file, at least one.
    wanted : mapping
        Columns to find.
    separator : str or None
        The separator, if it is given (`separator_of`).
    suffix : str
        The file's, in lower case: columns that nobody chose are the first ones in `HEADERLESS`.

    Raises
    ------
    DataError
        No separator gives the wanted columns. The message is about the likeliest.
    """
    candidates = [separator] if separator else [s for s in NAMES if s == BLANKS or s in lines[0]]
    found: list[tuple[int, int, int, Layout]] = []
    problems: list[tuple[int, DataError]] = []
    for candidate in candidates:
        rows = _rows(lines, candidate)
        try:
            found.append(_layout(label, rows, wanted, candidate, suffix))
        except DataError as error:
            problems.append((len(rows[0]), error))
    if not found:
        raise max(problems, key=lambda problem: problem[0])[1]
    return max(found, key=lambda rank: rank[:3])[3]


def _rows(lines: Sequence[str], separator: str) -> list[list[str]]:
    """Return the fields of each line; none where they cannot be read, which the reader will say."""
    rows = []
    for line in lines:
        try:
            rows.append(split_line(line, separator))
        except csv.Error:
            rows.append([])
    return rows


def _layout(
    label: str, rows: list[list[str]], wanted: Wanted, separator: str, suffix: str
) -> tuple[int, int, int, Layout]:
    """Return a layout behind what it is ranked by: clean lines, good lines, columns."""
    width = len(rows[0])
    if not width:
        raise DataError(
            f"{label}, line 1: its fields cannot be read; look for control characters and quotes"
        )
    header, places = _columns(label, rows, wanted, separator, suffix)
    dialect = Dialect(separator)
    body = rows[header:]
    good = [row for row in body if _is_good(row, width, places, dialect)]
    clean = sum(_is_clean(row, places) for row in good)
    padded = separator != BLANKS and bool(good) and all(map(_is_padded, good))
    return (
        clean,
        len(good),
        width,
        Layout(Dialect(separator, padded=padded), header, width, places, len(good)),
    )


def _columns(
    label: str, rows: list[list[str]], wanted: Wanted, separator: str, suffix: str
) -> tuple[bool, dict[str, int]]:
    """Return whether the first row is a header, and the places of the wanted columns."""
    names = [field.strip() for field in rows[0]]
    found = f"separated by {Dialect(separator).name}, its first line has {names}"
    if by_position(wanted):
        places = find_places(label, wanted, names, found, separated=True)
        return _is_header(names, rows[1:], places), places
    try:
        return True, find_places(label, wanted, names, found, separated=True)
    except DataError:
        if not are_defaults(wanted) or not (suffix in HEADERLESS or separator == "::"):
            raise
    first = {key: str(TIMED.index(key)) for key in wanted}
    places = find_places(label, first, names, found, separated=True)
    if _is_header(names, rows[1:], places):
        find_places(label, wanted, names, found, separated=True)  # raises: it has other names
    return False, places


def _is_header(names: list[str], others: list[list[str]], places: dict[str, int]) -> bool:
    """Return whether a first row names columns that are asked for by position.

    Where it might be a line of data, it is one: none may be lost.
    """
    ids = [names[places["user"]], names[places["item"]]]
    if any(map(is_number, ids)):
        return False
    if "rating" in places:
        rating = names[places["rating"]]
        return bool(_NAME.match(rating)) and rating.lower() not in _NO_NAMES
    plain = [name.lower().replace("_", "") for name in ids]
    if plain[0] in OTHER_NAMES["user"] and plain[1] in OTHER_NAMES["item"]:
        return True
    rest = [row[place] for row in others for place in places.values() if place < len(row)]
    return bool(rest) and all(map(is_number, rest))


def _is_good(row: list[str], width: int, places: dict[str, int], dialect: Dialect) -> bool:
    if len(row) > width or any(place >= len(row) or not row[place] for place in places.values()):
        return False
    return "rating" not in places or is_number(row[places["rating"]], comma=dialect.decimal_comma)


def _is_clean(row: list[str], places: dict[str, int]) -> bool:
    """Return whether no id has a separator in it: a wrong one often leaves the right one there."""
    ids = row[places["user"]].strip() + row[places["item"]].strip()
    return not any(separator in ids for separator in NAMES)


def _is_padded(row: list[str]) -> bool:
    return len(row) > 1 and all(a[-1:] == " " or b[:1] == " " for a, b in pairwise(row))
