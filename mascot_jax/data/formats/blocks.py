"""Read ratings in blocks (Netflix, Yahoo!): a heading names the owner of the lines below it.

::

    1:                      a Netflix movie       0|2                         a Yahoo! user
    1488844,3,2005-09-06    one user's rating     507696 90 3811 20:03:00     one item's rating
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl
from polars.exceptions import PolarsError

from mascot_jax.data.archive import Member
from mascot_jax.data.formats.text import (
    Piece,
    bad_line,
    read_fields,
    read_pieces,
    read_records,
    unreadable,
)
from mascot_jax.data.formats.values import Bounds, parse_ratings, rating_problem, ratings_usable
from mascot_jax.errors import DataError


@dataclass(frozen=True)
class BlockFormat:
    """Layout of a file of blocks.

    Attributes
    ----------
    mark : str
        Character that only headings have in their first field.
    heading : str
        Regular expression for headings, with the groups ``owner`` and, if headings state how many
        lines follow, ``count``.
    example : str
        Example of a heading, for messages.
    separator : str
        Field separator of the lines under a heading.
    width : int
        Fields of such a line: the id, then the rating if there are two or more; others are ignored.
    bounds : (float, float)
        Lowest and highest rating allowed.
    """

    mark: str
    heading: str
    example: str
    separator: str
    width: int
    bounds: Bounds


@dataclass(frozen=True)
class _Block:
    """One block: its heading's owner, line number and declared lines, and the lines read so far."""

    owner: int
    line: int
    declared: int | None
    lines: int


@dataclass(frozen=True)
class _Parsed:
    """One piece: `rows` without headings, and the position of each heading among the lines."""

    rows: pl.DataFrame
    lines: int
    places: npt.NDArray[np.int64]
    headings: pl.DataFrame


def read_blocks(member: Member, form: BlockFormat) -> Iterator[pl.DataFrame]:
    """Read a file of blocks, piece by piece.

    Parameters
    ----------
    member : Member
        The file.
    form : BlockFormat
        Layout of the file.

    Yields
    ------
    polars.DataFrame
        Columns ``owner`` and ``id`` (Int64) and, if the format has one, ``rating`` (Float32), in
        file order.

    Raises
    ------
    DataError
        A line is malformed, or a block does not have as many lines as its heading states.
    """
    block: _Block | None = None
    for piece in read_pieces(member):
        parsed = _parse(piece, form)
        if parsed is None or (block is None and parsed.places[:1].tolist() != [0]):
            raise _refusal(member, piece, form, started=block is not None)
        owners = _owners(parsed, block)
        blocks = _follow(parsed, piece.line, block)
        for closed in blocks[:-1]:
            _check_count(member, closed)
        block = blocks[-1]
        yield parsed.rows.with_columns(owner=owners)
    if block is not None:
        _check_count(member, block)


def _parse(piece: Piece, form: BlockFormat) -> _Parsed | None:
    """Separate headings from rows; return None if any line is malformed."""
    try:
        fields = read_fields(piece.data, form.separator, form.width, quoted=False)
    except PolarsError:
        return None
    first, others = fields["c0"], [f"c{index}" for index in range(1, form.width)]
    if first.null_count():
        return None
    is_heading = first.str.contains(form.mark, literal=True)
    heads, body = fields.filter(is_heading), fields.filter(~is_heading)
    if any(heads[c].null_count() < heads.height or body[c].null_count() for c in others):
        return None
    headings = heads["c0"].str.extract_groups(form.heading).struct.unnest()
    headings = headings.cast(pl.Int64, strict=False)
    rows = pl.DataFrame({"id": body["c0"].cast(pl.Int64, strict=False)})
    if form.width > 1:
        ratings = parse_ratings(body["c1"])
        if not ratings_usable(ratings, form.bounds):
            return None
        rows = rows.with_columns(rating=ratings)
    if rows["id"].null_count() or any(c.null_count() for c in headings.iter_columns()):
        return None
    places = is_heading.arg_true().to_numpy().astype(np.int64)
    return _Parsed(rows, fields.height, places, headings)


def _lengths(parsed: _Parsed) -> list[int]:
    """Return the number of rows before the first heading, then under each heading."""
    ends = np.append(parsed.places, parsed.lines)
    return [int(ends[0]), *(np.diff(ends) - 1).tolist()]


def _follow(parsed: _Parsed, line: int, block: _Block | None) -> list[_Block]:
    """Return the open block and the blocks of this piece; only the last can continue."""
    before, *lengths = _lengths(parsed)
    owners = parsed.headings["owner"].to_list()
    declared: list[int | None] = [None] * len(owners)
    if "count" in parsed.headings.columns:
        declared = parsed.headings["count"].to_list()
    lines = (parsed.places + line).tolist()
    blocks = [] if block is None else [replace(block, lines=block.lines + before)]
    return blocks + [_Block(*b) for b in zip(owners, lines, declared, lengths, strict=True)]


def _owners(parsed: _Parsed, block: _Block | None) -> pl.Series:
    """Return the owner of each row, Int64 [rows]."""
    carried = -1 if block is None else block.owner
    owners = np.array([carried, *parsed.headings["owner"]], dtype=np.int64)
    return pl.Series(np.repeat(owners, _lengths(parsed)))


def _check_count(member: Member, block: _Block) -> None:
    if block.declared is not None and block.declared != block.lines:
        raise DataError(
            f"{member.label}, line {block.line}: the heading of {block.owner} states "
            f"{block.declared} lines and {block.lines} follow; the file is cut or altered"
        )


def _refusal(member: Member, piece: Piece, form: BlockFormat, *, started: bool) -> DataError:
    """Return the error for the first malformed line of a piece that the fast reader refused."""
    heading_seen = started

    def problem_of(fields: list[str]) -> str | None:
        nonlocal heading_seen
        if form.mark in fields[0]:
            heading_seen = True
            matches = re.fullmatch(form.heading, fields[0]) is not None and len(fields) == 1
            return None if matches else f"a heading looks like {form.example!r}"
        if not heading_seen:
            return f"a heading such as {form.example!r} must come before the first rating"
        return _row_problem(fields, form)

    for line, text, fields in read_records(member, piece, form.separator, quoted=False):
        problem = problem_of(fields) if text else "the line is blank"
        if problem is not None:
            return bad_line(member, line, text, problem)
    return unreadable(member, piece)


def _row_problem(fields: list[str], form: BlockFormat) -> str | None:
    if len(fields) != form.width:
        return f"{len(fields)} fields where {form.width} are expected"
    if re.fullmatch("[0-9]{1,18}", fields[0]) is None:
        return f"the id {fields[0][:20]!r} is not an integer"
    if "" in fields:
        return f"field {fields.index('') + 1} is missing"
    return rating_problem(fields[1], form.bounds) if form.width > 1 else None
