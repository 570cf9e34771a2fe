"""Read ratings, or pairs, one per line, from separated text with or without a header."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import PurePath

import polars as pl

from mascot_jax.data.archive import Member
from mascot_jax.data.formats.columns import (
    RATINGS,
    by_position,
    find_places,
    wanted_columns,
)
from mascot_jax.data.formats.dialect import (
    BLANKS,
    Dialect,
    Layout,
    find_layout,
    separator_of,
    split_line,
)
from mascot_jax.data.formats.text import (
    Piece,
    bad_line,
    read_head,
    read_pieces,
    read_records,
    split_fast,
    unreadable,
)
from mascot_jax.data.formats.values import (
    mixed_decimals,
    narrow_ids,
    parse_ratings,
    rating_problem,
    ratings_usable,
    stack,
)
from mascot_jax.errors import DataError
from mascot_jax.settings import Columns

# polars needs a separator of one byte; "::" and blanks become this one, which no text contains.
UNIT_SEPARATOR = "\x1f"
_AROUND = re.compile(rb"(?m)^[ \t]+|[ \t]+(?=\r?$)")
_BETWEEN = re.compile(rb"[ \t]+")


def read_delimited(
    member: Member,
    dialect: Dialect | None,
    columns: Columns,
    keys: tuple[str, ...] = RATINGS,
) -> pl.DataFrame:
    """Read a delimited file; of ``read_delimited_pieces``, all pieces in one frame."""
    return stack(list(read_delimited_pieces(member, dialect, columns, keys)))


def read_delimited_pieces(
    member: Member,
    dialect: Dialect | None,
    columns: Columns,
    keys: tuple[str, ...] = RATINGS,
) -> Iterator[pl.DataFrame]:
    """Read a delimited file, piece by piece.

    Parameters
    ----------
    member : Member
        The file; UTF-8 text.
    dialect : Dialect or None
        Of a named data set; None finds it out, but for what ``columns.separator`` says.
    columns : Columns
        Columns of user, item and rating: names of the header line, or positions from 0.
    keys : tuple of str
        The columns to read: ``user``, ``item`` and, of ratings, ``rating``, perhaps ``time``.

    Yields
    ------
    polars.DataFrame, shape (ratings, columns)
        ``user`` and ``item`` (Int64 or String, as the piece allows), ``rating`` (Float32) and
        ``time`` (String), in file order.

    Raises
    ------
    DataError
        A column is missing, or a line is malformed; the message has the line number.
    """
    layout = _layout_of(member, dialect, columns, keys)
    quoted = layout.dialect.separator not in ("::", BLANKS)
    found = False
    for piece in read_pieces(member, quoted_after=layout.dialect.separator if quoted else None):
        if layout.header and piece.line == 1:
            piece = Piece(piece.data.split(b"\n", 1)[1], 2)
        if piece.data:
            yield _read_piece(member, piece, layout)
            found = True
    if not found:
        raise DataError(f"{member.label}: only a header line, no ratings")


def check_columns(member: Member, columns: Columns, keys: tuple[str, ...]) -> None:
    """Raise a DataError if the file's first lines have not the columns, or no rating."""
    layout = _layout_of(member, None, columns, keys)
    if not layout.good and not layout.header:
        raise DataError(
            f"{member.label}: in none of its first lines, separated by {layout.dialect.name}, is "
            f"there a number at position {layout.places.get('rating')}"
        )


def _layout_of(
    member: Member, dialect: Dialect | None, columns: Columns, keys: tuple[str, ...]
) -> Layout:
    """Return the layout of a file, from its first lines; of a named data set's, from its width."""
    wanted = wanted_columns(columns, keys)
    lines = read_head(member)
    if dialect is None:
        separator = None if columns.separator is None else separator_of(columns.separator)
        return find_layout(member.label, lines, wanted, separator, _suffix(member))
    try:
        names = [field.strip() for field in split_line(lines[0], dialect.separator)]
    except csv.Error as error:
        raise bad_line(member, 1, lines[0], f"its fields cannot be read ({error})") from error
    header = not by_position(wanted)
    assert dialect.width is not None  # a named data set's is known
    width = len(names) if header else dialect.width
    there = names if header else list(map(str, range(width)))
    found = f"separated by {dialect.name}, its first line has {names}"
    return Layout(dialect, header, width, find_places(member.label, wanted, there, found))


def _suffix(member: Member) -> str:
    return PurePath(member.name).suffix.lower()


def _read_piece(member: Member, piece: Piece, layout: Layout) -> pl.DataFrame:
    """Read a piece fast or, if that fails or quotes make it doubtful, slowly."""
    fields = _read_fast(piece, layout)
    frame = None if fields is None else _usable(fields, layout)
    if frame is not None:
        return frame
    fields = _read_slowly(member, piece, layout)
    frame = _usable(fields, layout)
    if frame is None:
        raise _unusable(member, piece, fields, layout)
    return frame


def _unusable(member: Member, piece: Piece, fields: pl.DataFrame, layout: Layout) -> DataError:
    """Return the error for fields whose lines are good, each alone, but not together."""
    if layout.dialect.decimal_comma and "rating" in fields:
        problem = mixed_decimals(fields["rating"])
        if problem is not None:
            return DataError(f"{member.label}: {problem}")
    return unreadable(member, piece)


def _read_fast(piece: Piece, layout: Layout) -> pl.DataFrame | None:
    """Return the wanted fields as String columns; None if a line has too many, or is not UTF-8."""
    separator, data = layout.dialect.separator, piece.data
    if separator == "::":
        data, separator = data.replace(b"::", UNIT_SEPARATOR.encode()), UNIT_SEPARATOR
    elif separator == BLANKS:
        if layout.dialect.quoted and b'"' in data:
            return None
        data = _BETWEEN.sub(UNIT_SEPARATOR.encode(), _AROUND.sub(b"", data))
        separator = UNIT_SEPARATOR
    piece = Piece(data, piece.line)
    fields = split_fast(piece, separator, layout.width, quoted=layout.dialect.quoted)
    if fields is None:
        return None
    if layout.dialect.width is not None and any(c.null_count() for c in fields.iter_columns()):
        return None
    return fields.select(pl.col(f"c{place}").alias(key) for key, place in layout.places.items())


def _read_slowly(member: Member, piece: Piece, layout: Layout) -> pl.DataFrame:
    """Read line by line; raise the error for the first that is malformed."""
    separator, data, quoted = layout.dialect.separator, piece.data, layout.dialect.quoted
    if separator == BLANKS:
        data = _BETWEEN.sub(b" ", _AROUND.sub(b"", data))
    values: dict[str, list[str]] = {key: [] for key in layout.places}
    for line, text, fields in read_records(
        member, Piece(data, piece.line), separator, quoted=quoted
    ):
        if layout.dialect.padded:
            fields = [field.strip(" ") for field in fields]
        problem = _problem(fields, layout) if text else "the line is blank"
        if problem is not None:
            raise bad_line(member, line, text, problem)
        for key, place in layout.places.items():
            values[key].append(fields[place])
    return pl.DataFrame(values, schema=dict.fromkeys(values, pl.String))


def _problem(fields: list[str], layout: Layout) -> str | None:
    """Return the problem with the fields of one line, or None."""
    dialect, width = layout.dialect, layout.width
    exact = dialect.width is not None and len(fields) != width
    if exact or len(fields) > width:
        return f"{len(fields)} fields where {width} are expected, separated by {dialect.name}"
    for index, name in _needed(layout).items():
        if index >= len(fields) or fields[index] == "":
            return f"{name} is missing, where fields are separated by {dialect.name}"
    if "rating" not in layout.places:
        return None
    text = fields[layout.places["rating"]]
    # Blanks beside a number are no part of it; the named data sets have none.
    text = text if dialect.width else text.strip(" ")
    return rating_problem(text, dialect.bounds, comma=dialect.decimal_comma)


def _needed(layout: Layout) -> dict[int, str]:
    """Return index and name of the fields that must not be empty."""
    if layout.dialect.width is not None:
        return {index: f"field {index + 1}" for index in range(layout.width)}
    return {place: f"the {key}" for key, place in layout.places.items()}


def _usable(fields: pl.DataFrame, layout: Layout) -> pl.DataFrame | None:
    """Return ids and ratings of the wanted fields; None if a line is malformed."""
    dialect = layout.dialect
    if dialect.padded:
        fields = fields.with_columns(pl.all().str.strip_chars(" "))
    # A quoted empty field is an empty string, not null.
    there = [key for key in ("user", "item", "time") if key in fields]
    if any(fields[key].null_count() or (fields[key] == "").any() for key in there):
        return None
    frame = fields.with_columns(narrow_ids(fields["user"]), narrow_ids(fields["item"]))
    if "rating" not in fields:
        return frame
    ratings = parse_ratings(fields["rating"], comma=dialect.decimal_comma)
    if ratings.null_count() and dialect.width is None:
        texts = fields["rating"].str.strip_chars(" ")
        ratings = parse_ratings(texts, comma=dialect.decimal_comma)
    return frame.with_columns(rating=ratings) if ratings_usable(ratings, dialect.bounds) else None
