"""Read clicks, one a line, from separated text with or without a header line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import polars as pl

from mascot_jax.clicks.formats.columns import Places, by_position, find_places
from mascot_jax.clicks.formats.rules import Rules
from mascot_jax.clicks.formats.table import Table
from mascot_jax.clicks.raw import LABEL, category_name, dense_name
from mascot_jax.data.archive import Member
from mascot_jax.data.formats.dialect import NAMES, separator_of, split_line
from mascot_jax.data.formats.text import (
    Piece,
    bad_line,
    read_head,
    read_pieces,
    read_records,
    split_fast,
    unreadable,
)
from mascot_jax.errors import DataError
from mascot_jax.settings import ClickColumns

SEPARATORS = tuple(separator for separator in NAMES if len(separator) == 1 and separator != " ")
"""Separators that are found out: those of one character, as columns may be empty."""
PIECE_BYTES = 32 * 2**20
"""Half of what ratings take: to polars, a field of six bytes takes 16 more."""


@dataclass(frozen=True)
class TextFormat:
    """How a file is written.

    Attributes
    ----------
    columns : ClickColumns
        The columns to read.
    rules : Rules
        What its fields may hold.
    names : tuple of str
        Names of the columns of a file without a header line; empty: the first line has them, or
        none.
    header : tuple of str
        Header line of the rows that made an encoder, if they had one and their columns are given by
        position: where a first line repeats it, it is no row.
    """

    columns: ClickColumns
    rules: Rules = field(default_factory=Rules)
    names: tuple[str, ...] = ()
    header: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Layout:
    """What the first lines show."""

    separator: str
    header: bool
    names: tuple[str, ...]
    """The header's, if columns are given by position."""
    width: int
    places: Places
    rules: Rules

    @property
    def name(self) -> str:
        return NAMES.get(self.separator, f"the separator {self.separator!r}")


def open_text(member: Member, form: TextFormat, *, labelled: bool | None) -> Table:
    """Find the columns of a text file; its rows are read from the table.

    Parameters
    ----------
    member : Member
        The file; UTF-8 text.
    form : TextFormat
        How it is written.
    labelled : bool or None
        Whether it must have labels; None takes them where they are.

    Raises
    ------
    DataError
        A column is missing, or the file holds no text; the rows raise it for a malformed line, with
        its number.
    """
    layout = _layout_of(member, form, labelled)
    places = layout.places
    labelled = places.label is not None
    return Table(places.schema, labelled, partial(_frames, member, layout), layout.names)


def _layout_of(member: Member, form: TextFormat, labelled: bool | None) -> _Layout:
    """Return the layout with the most columns, of the separators with which all are there."""
    lines = read_head(member)
    wanted = form.columns.separator
    candidates: Sequence[str] = [s for s in SEPARATORS if s in lines[0]] or SEPARATORS[:1]
    if wanted is not None:
        candidates = [_one_character(wanted)]
    found, problems = [], []
    for separator in candidates:
        try:
            names = [name.strip() for name in split_line(lines[0], separator)]
            found.append(_layout(member.label, names, separator, form, labelled))
        except csv.Error as error:
            problems.append(bad_line(member, 1, lines[0], f"its fields cannot be read ({error})"))
        except DataError as error:
            problems.append(error)
    if not found:
        raise problems[0]
    return max(found, key=lambda layout: layout.width)


def _one_character(word: str) -> str:
    separator = separator_of(word)
    if separator not in SEPARATORS and (len(separator) > 1 or separator == " "):
        raise DataError(
            f"data.columns.separator: {word!r}: must be one character other than a blank, as "
            "columns of clicks may be empty"
        )
    return separator


def _layout(
    label: str, names: list[str], separator: str, form: TextFormat, labelled: bool | None
) -> _Layout:
    there, header = _names(label, names, form, labelled)
    places = find_places(label, form.columns, there, labelled=labelled)
    fields: tuple[str, ...] = ()
    if not form.names and by_position(form.columns):
        header = _is_header(names, places, form)
        fields = tuple(names) if header else ()
    return _Layout(separator, header, fields, len(names), places, form.rules)


def _names(
    label: str, names: list[str], form: TextFormat, labelled: bool | None
) -> tuple[Sequence[str], bool]:
    """Return the names of the columns, and whether the first line has them."""
    if not form.names:
        # Without a name to look for, the fields of the first line are no names.
        return ([""] * len(names) if by_position(form.columns) else names), True
    unlabelled = form.names[1:]
    if len(names) == len(unlabelled) and labelled is not True:
        return unlabelled, False
    if len(names) != len(form.names):
        raise DataError(
            f"{label}, line 1: {len(names)} fields where {len(form.names)} are expected: "
            f"{form.names[0]}, {form.names[1]} to {form.names[-1]}"
        )
    return form.names, False


def _is_header(names: list[str], places: Places, form: TextFormat) -> bool:
    """Return whether a first row names columns that are given by position.

    Where it might be a row of data, it is one: none may be lost.
    """
    if places.label is not None:
        return form.rules.label_problem(names[places.label]) is not None
    wanted = [*places.dense.values(), *places.categories.values()]
    if max(wanted) < len(form.header) and all(names[at] == form.header[at] for at in wanted):
        return True
    return any(form.rules.number_problem(names[at], "") is not None for at in places.dense.values())


def _frames(member: Member, layout: _Layout) -> Iterator[pl.DataFrame]:
    rows = 0
    for piece in read_pieces(member, quoted_after=layout.separator, size=PIECE_BYTES):
        if layout.header and piece.line == 1:
            piece = Piece(piece.data.split(b"\n", 1)[1], 2)
        if piece.data:
            frame = _read_piece(member, piece, layout)
            rows += frame.height
            yield frame
    if not rows:
        raise DataError(f"{member.label}: only a header line, no rows")


def _read_piece(member: Member, piece: Piece, layout: _Layout) -> pl.DataFrame:
    """Read a piece fast or, if that fails or is doubtful, slowly."""
    fields = split_fast(piece, layout.separator, layout.width, quoted=True)
    if fields is not None and _is_whole(piece, fields, layout):
        frame = _usable(fields, layout)
        if frame is not None:
            return frame
    frame = _usable(_read_slowly(member, piece, layout), layout)
    if frame is None:
        raise unreadable(member, piece)
    return frame


def _is_whole(piece: Piece, fields: pl.DataFrame, layout: _Layout) -> bool:
    """Return whether no line is short: to polars, its missing fields are empty ones."""
    if b'"' not in piece.data:
        separators = piece.data.count(layout.separator.encode())
        return separators == (layout.width - 1) * piece.lines and fields.height == piece.lines
    return not fields[f"c{layout.width - 1}"].null_count()


def _read_slowly(member: Member, piece: Piece, layout: _Layout) -> pl.DataFrame:
    """Read line by line; raise the error for the first that is malformed."""
    values: list[list[str]] = []
    for line, text, fields in read_records(member, piece, layout.separator, quoted=True):
        problem = _problem(fields, layout) if text else "the line is blank"
        if problem is not None:
            raise bad_line(member, line, text, problem)
        values.append(fields)
    names = [f"c{at}" for at in range(layout.width)]
    return pl.DataFrame(values, schema=dict.fromkeys(names, pl.String), orient="row")


def _problem(fields: list[str], layout: _Layout) -> str | None:
    """Return the problem with the fields of one line, or None."""
    if len(fields) != layout.width:
        return f"{len(fields)} fields where {layout.width} are expected, separated by {layout.name}"
    places, rules = layout.places, layout.rules
    if places.label is not None:
        problem = rules.label_problem(fields[places.label])
        if problem is not None:
            return problem
    checks = [(rules.number_problem, places.dense), (rules.id_problem, places.categories)]
    for check, columns in checks:
        for column, at in columns.items():
            problem = check(fields[at], column)
            if problem is not None:
                return problem
    return None


def _usable(fields: pl.DataFrame, layout: _Layout) -> pl.DataFrame | None:
    """Return a frame of the wanted columns; None if a line is malformed."""
    places, rules = layout.places, layout.rules
    made: dict[str, pl.Series | None] = {}
    if places.label is not None:
        made[LABEL] = rules.labels(fields[f"c{places.label}"])
    for number, at in enumerate(places.dense.values()):
        made[dense_name(number)] = rules.numbers(fields[f"c{at}"])
    for number, (column, at) in enumerate(places.categories.items()):
        made[category_name(number)] = rules.ids(fields[f"c{at}"], column)
    if any(column is None for column in made.values()):
        return None
    return pl.DataFrame(made)
