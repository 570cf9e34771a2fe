"""Read clicks in libFM's format: a label, then the ids of the fields, each in its place.

::

    -1 204:1 4798:1 5041:1
    1 42:1 1572:1 5042:1
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

import polars as pl

from mascot_jax.clicks.formats.table import Table
from mascot_jax.clicks.raw import LABEL, Schema, category_name
from mascot_jax.data.archive import Member
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

LABELS = {"-1": 0, "0": 0, "1": 1, "+1": 1, "-1.0": 0, "0.0": 0, "1.0": 1}
_ENTRY = re.compile(r"[0-9]{1,18}:1(?:\.0*)?")
_AT_ENDS = re.compile(rb"(?m)^ +| +(?=\r?$)")
_BETWEEN = re.compile(rb"  +")


def open_libfm(member: Member) -> Table:
    """Count the fields of a file; its rows are read from the table.

    The place of an id in its row is its field, so that every row has as many.

    Raises
    ------
    DataError
        The file holds no text, or its first line is none of the format; the rows raise it for a
        malformed line, with its number.
    """
    line = read_head(member)[0]
    width = len(line.split())
    if width < 2:
        raise bad_line(member, 1, line, "there is no label with ids behind it")
    schema = Schema((), tuple(f"field{number}" for number in range(width - 1)))
    return Table(schema, labelled=True, frames=partial(_frames, member, width))


def _frames(member: Member, width: int) -> Iterator[pl.DataFrame]:
    for piece in read_pieces(member):
        data = _BETWEEN.sub(b" ", _AT_ENDS.sub(b"", piece.data.replace(b"\t", b" ")))
        piece = Piece(data, piece.line)
        fields = split_fast(piece, " ", width, quoted=False)
        frame = None if fields is None else _usable(fields, width)
        if frame is None:
            raise _bad_line(member, piece, width)
        yield frame


def _usable(fields: pl.DataFrame, width: int) -> pl.DataFrame | None:
    labels = fields["c0"].replace_strict(LABELS, default=None, return_dtype=pl.UInt8)
    if labels.null_count():
        return None
    made = {LABEL: labels}
    for number in range(width - 1):
        entries = fields[f"c{number + 1}"]
        if not entries.str.contains(f"^(?:{_ENTRY.pattern})$").fill_null(False).all():
            return None
        made[category_name(number)] = entries.str.split(":").list.first()
    return pl.DataFrame(made)


def _bad_line(member: Member, piece: Piece, width: int) -> DataError:
    for line, text, fields in read_records(member, piece, " ", quoted=False):
        problem = _problem(fields, width) if text else "the line is blank"
        if problem is not None:
            return bad_line(member, line, text, problem)
    return unreadable(member, piece)


def _problem(fields: list[str], width: int) -> str | None:
    if fields[0] not in LABELS:
        return f"the label {fields[0][:20]!r} is not -1, 0 or 1"
    if len(fields) != width:
        return (
            f"{len(fields) - 1} ids where {width - 1} are expected: the place of an id is its "
            "field, so that every row has as many as the first"
        )
    for entry in fields[1:]:
        if _ENTRY.fullmatch(entry) is None:
            return (
                f"{entry[:20]!r} is not an id with the value 1, such as 204:1; other values are "
                "not read: write the data as a table with columns of numbers"
            )
    return None
