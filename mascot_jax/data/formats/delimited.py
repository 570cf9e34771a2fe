"""Read ratings, one per line, from CSV, TSV or ``::``-separated text with or without a header."""

from __future__ import annotations

import csv
from dataclasses import dataclass

import polars as pl
from polars.exceptions import PolarsError

from mascot_jax.data.archive import Member
from mascot_jax.data.formats.text import (
    Piece,
    any_field_size,
    bad_line,
    find_bad_line,
    read_fields,
    read_pieces,
)
from mascot_jax.data.formats.values import (
    Bounds,
    narrow_ids,
    parse_ratings,
    rating_problem,
    ratings_usable,
    stack,
)
from mascot_jax.errors import DataError
from mascot_jax.settings import Columns

# polars needs a separator of one byte; "::" is replaced by this byte, which no text contains.
UNIT_SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Dialect:
    """Layout of a delimited file.

    Attributes
    ----------
    separator : str
        Field separator. A separator of one character allows fields in double quotes.
    width : int or None
        Number of fields of every line, none of them empty. None takes the number from the first
        line; then only user, item and rating must not be empty.
    bounds : (float, float) or None
        Lowest and highest rating allowed.
    """

    separator: str
    width: int | None = None
    bounds: Bounds | None = None

    @property
    def quoted(self) -> bool:
        """Whether fields may be in double quotes."""
        return len(self.separator) == 1


@dataclass(frozen=True)
class _Plan:
    """Dialect with the number of fields and the columns' indices, taken from the first line."""

    dialect: Dialect
    width: int
    user: int
    item: int
    rating: int
    time: int | None = None

    @property
    def needed(self) -> dict[int, str]:
        """Index and name of the fields that must not be empty."""
        if self.dialect.width is not None:
            return {index: f"field {index + 1}" for index in range(self.width)}
        names = {self.user: "the user", self.item: "the item", self.rating: "the rating"}
        return names if self.time is None else {**names, self.time: "the time"}


def read_delimited(member: Member, dialect: Dialect, columns: Columns) -> pl.DataFrame:
    """Read a delimited file.

    Parameters
    ----------
    member : Member
        The file; UTF-8 text.
    dialect : Dialect
        Layout of the file.
    columns : Columns
        Columns of user, item and rating. Names that are all digits are positions, from 0, in a
        file without a header line.

    Returns
    -------
    polars.DataFrame, shape (ratings, 3)
        ``user`` and ``item`` (Int64 or String), ``rating`` (Float32), in file order; of
        ``TimedColumns`` also ``time`` (String).

    Raises
    ------
    DataError
        A column is missing, or a line is malformed; the message has the line number.
    """
    header = not _are_positions(columns)
    plan: _Plan | None = None
    frames = []
    for piece in read_pieces(member, quoted=dialect.quoted):
        if plan is None:
            plan = _make_plan(member, piece, dialect, columns)
            if header:
                piece = _without_first_line(piece)
        if piece.data:
            frames.append(_read_piece(member, piece, plan))
    if not frames:
        raise DataError(f"{member.label}: only a header line, no ratings")
    return stack(frames)


def _are_positions(columns: Columns) -> bool:
    return all(name.isdecimal() for _, name in columns)


def _first_fields(member: Member, piece: Piece, dialect: Dialect) -> list[str]:
    text = piece.data.split(b"\n", 1)[0].rstrip(b"\r").decode(errors="replace")
    if not dialect.quoted:
        return text.split(dialect.separator)
    try:
        with any_field_size():
            return next(csv.reader([text], delimiter=dialect.separator), [])
    except csv.Error as error:
        raise bad_line(member, piece.line, text, f"its fields cannot be read ({error})") from error


def _make_plan(member: Member, piece: Piece, dialect: Dialect, columns: Columns) -> _Plan:
    fields = _first_fields(member, piece, dialect)
    names = dict(columns)
    if len(set(names.values())) < len(names):
        *others, last = names
        raise DataError(
            f"data.columns: {', '.join(others)} and {last} must differ; found "
            f"{list(names.values())}"
        )
    positions = _are_positions(columns)
    width = dialect.width or len(fields)
    known = [str(index) for index in range(width)] if positions else [f.strip() for f in fields]
    for key, name in names.items():
        if known.count(name) != 1:
            raise _no_column(member, key, name, known, positions)
    places = {key: known.index(name) for key, name in names.items()}
    return _Plan(dialect, width if positions else len(fields), **places)


def _no_column(member: Member, key: str, name: str, known: list[str], positions: bool) -> DataError:
    found = (
        f"its first line has {len(known)} fields, positions 0 to {len(known) - 1}"
        if positions
        else f"its header line has {known}"
    )
    often = "twice" if name in known else "not"
    return DataError(
        f"{member.label}: column {name!r} (data.columns.{key}) is {often} there; {found}. Set "
        f"data.columns.{key} to a name of the header line, or, in a file without one, all of "
        "them to positions"
    )


def _without_first_line(piece: Piece) -> Piece:
    return Piece(piece.data.split(b"\n", 1)[1], piece.line + 1)


def _read_piece(member: Member, piece: Piece, plan: _Plan) -> pl.DataFrame:
    separator, data, quoted = plan.dialect.separator, piece.data, plan.dialect.quoted
    if not quoted:
        data = data.replace(separator.encode(), UNIT_SEPARATOR.encode())
        separator = UNIT_SEPARATOR
    try:
        fields = read_fields(data, separator, plan.width, quoted=quoted)
    except PolarsError:
        raise _refusal(member, piece, plan) from None
    ratings = parse_ratings(fields[f"c{plan.rating}"])
    users, items = fields[f"c{plan.user}"], fields[f"c{plan.item}"]
    complete = all(not fields[f"c{index}"].null_count() for index in plan.needed)
    # A quoted empty field is an empty string, not null.
    complete = complete and not (users == "").any() and not (items == "").any()
    if not (complete and ratings_usable(ratings, plan.dialect.bounds)):
        raise _refusal(member, piece, plan)
    columns = {"user": narrow_ids(users), "item": narrow_ids(items), "rating": ratings}
    if plan.time is not None:
        columns["time"] = fields[f"c{plan.time}"]
    return pl.DataFrame(columns)


def _refusal(member: Member, piece: Piece, plan: _Plan) -> DataError:
    dialect = plan.dialect

    def problem_of(fields: list[str]) -> str | None:
        exact = dialect.width is not None and len(fields) != plan.width
        if exact or len(fields) > plan.width:
            return f"{len(fields)} fields where {plan.width} are expected"
        for index, name in plan.needed.items():
            if index >= len(fields) or fields[index] == "":
                return f"{name} is missing"
        return rating_problem(fields[plan.rating], dialect.bounds)

    return find_bad_line(member, piece, dialect.separator, problem_of, quoted=dialect.quoted)
