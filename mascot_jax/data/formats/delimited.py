"""Ratings as one line each: CSV, TSV and ``::``-separated text, with a header line or without."""

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

# polars separates at one byte only; "::" becomes this one, which no text contains.
UNIT_SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Layout:
    """How the lines of a delimited file are laid out.

    Attributes
    ----------
    separator : str
        Between fields. A one-character separator allows fields in double quotes.
    width : int or None
        Fields of every line, none of them empty; None takes the number from the first line, and
        then only user, item and rating must be there.
    bounds : (float, float) or None
        Lowest and highest rating allowed.
    """

    separator: str
    width: int | None = None
    bounds: Bounds | None = None

    @property
    def quoted(self) -> bool:
        """Whether a field may stand in double quotes."""
        return len(self.separator) == 1


@dataclass(frozen=True)
class _Plan:
    """A layout, once the first line is known: where the three columns are among `width`."""

    layout: Layout
    width: int
    user: int
    item: int
    rating: int

    @property
    def needed(self) -> dict[int, str]:
        """Index and name of the fields that must not be empty."""
        if self.layout.width is not None:
            return {index: f"field {index + 1}" for index in range(self.width)}
        return {self.user: "the user", self.item: "the item", self.rating: "the rating"}


def read_delimited(member: Member, layout: Layout, columns: Columns) -> pl.DataFrame:
    """Read a delimited file.

    Column names that are all digits are positions, from 0, in a file without a header line.

    Parameters
    ----------
    member : Member
        The file; UTF-8 text.
    layout : Layout
        How its lines are laid out.
    columns : Columns
        Which columns hold user, item and rating.

    Returns
    -------
    polars.DataFrame, shape (ratings, 3)
        ``user`` and ``item`` (Int64 or String), ``rating`` (Float32), in file order.

    Raises
    ------
    DataError
        A column is not there, or a line breaks a rule; the message has its number.
    """
    header = not _are_positions(columns)
    plan: _Plan | None = None
    frames = []
    for piece in read_pieces(member, quoted=layout.quoted):
        if plan is None:
            plan = _make_plan(member, piece, layout, columns)
            if header:
                piece = _without_first_line(piece)
        if piece.data:
            frames.append(_read_piece(member, piece, plan))
    if not frames:
        raise DataError(f"{member.label}: only a header line, no ratings")
    return stack(frames)


def _are_positions(columns: Columns) -> bool:
    return all(name.isdecimal() for name in (columns.user, columns.item, columns.rating))


def _first_fields(member: Member, piece: Piece, layout: Layout) -> list[str]:
    text = piece.data.split(b"\n", 1)[0].rstrip(b"\r").decode(errors="replace")
    if not layout.quoted:
        return text.split(layout.separator)
    try:
        with any_field_size():
            return next(csv.reader([text], delimiter=layout.separator), [])
    except csv.Error as error:
        raise bad_line(member, piece.line, text, f"its fields cannot be read ({error})") from error


def _make_plan(member: Member, piece: Piece, layout: Layout, columns: Columns) -> _Plan:
    fields = _first_fields(member, piece, layout)
    names = [columns.user, columns.item, columns.rating]
    if len(set(names)) < len(names):
        raise DataError(f"data.columns: user, item and rating must differ; found {names}")
    positions = _are_positions(columns)
    width = layout.width or len(fields)
    known = [str(index) for index in range(width)] if positions else [f.strip() for f in fields]
    for key, name in zip(("user", "item", "rating"), names, strict=True):
        if known.count(name) != 1:
            raise _no_column(member, key, name, known, positions)
    user, item, rating = (known.index(name) for name in names)
    return _Plan(layout, width if positions else len(fields), user, item, rating)


def _no_column(member: Member, key: str, name: str, known: list[str], positions: bool) -> DataError:
    found = (
        f"its first line has {len(known)} fields, positions 0 to {len(known) - 1}"
        if positions
        else f"its header line has {known}"
    )
    often = "twice" if name in known else "not"
    return DataError(
        f"{member.label}: column {name!r} (data.columns.{key}) is {often} there; {found}. Set "
        f"data.columns.{key} to a name of the header line, or, in a file without one, all three "
        "to positions"
    )


def _without_first_line(piece: Piece) -> Piece:
    return Piece(piece.data.split(b"\n", 1)[1], piece.line + 1)


def _read_piece(member: Member, piece: Piece, plan: _Plan) -> pl.DataFrame:
    separator, data, quoted = plan.layout.separator, piece.data, plan.layout.quoted
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
    # A field that is two double quotes is empty, but not null.
    complete = complete and not (users == "").any() and not (items == "").any()
    if not (complete and ratings_usable(ratings, plan.layout.bounds)):
        raise _refusal(member, piece, plan)
    return pl.DataFrame({"user": narrow_ids(users), "item": narrow_ids(items), "rating": ratings})


def _refusal(member: Member, piece: Piece, plan: _Plan) -> DataError:
    layout = plan.layout

    def problem_of(fields: list[str]) -> str | None:
        exact = layout.width is not None and len(fields) != plan.width
        if exact or len(fields) > plan.width:
            return f"{len(fields)} fields where {plan.width} are expected"
        for index, name in plan.needed.items():
            if index >= len(fields) or fields[index] == "":
                return f"{name} is missing"
        return rating_problem(fields[plan.rating], layout.bounds)

    return find_bad_line(member, piece, layout.separator, problem_of, quoted=layout.quoted)
