"""Text files in pieces of whole lines, and the message for a line that cannot be used."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import polars as pl

from mascot_jax.data.archive import Member
from mascot_jax.errors import DataError

# Large enough that polars works at full speed, small enough that a piece's strings cost little
# beside the ratings of a data set of this size.
PIECE_BYTES = 64 * 2**20
# A quote that is never closed would take the rest of the file into one piece.
MAX_QUOTED_BYTES = 4 * PIECE_BYTES
SHOWN_CHARACTERS = 60
UTF8_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Piece:
    """Whole lines of a file.

    Attributes
    ----------
    data : bytes
        The lines, each with its line end.
    line : int
        Number of the first line in the file, from 1.
    """

    data: bytes
    line: int

    @property
    def lines(self) -> int:
        """Number of lines."""
        return self.data.count(b"\n")


def read_pieces(
    member: Member, *, quoted: bool = False, size: int | None = None
) -> Iterator[Piece]:
    """Read a text file in pieces that end where a line ends.

    A byte order mark in front and blank lines at the end are dropped.

    Parameters
    ----------
    member : Member
        The file.
    quoted : bool
        Double quotes may enclose line ends, which then end no piece.
    size : int, optional
        Bytes of a piece, about; `PIECE_BYTES` if not given.

    Raises
    ------
    DataError
        The file is empty, or a quote is not closed.
    """
    line = 1
    for data in _blocks(member, quoted, size or PIECE_BYTES):
        piece = Piece(data, line)
        yield piece
        line += piece.lines
    if line == 1:
        raise DataError(f"{member.label}: the file is empty; it should hold ratings")


def _blocks(member: Member, quoted: bool, size: int) -> Iterator[bytes]:
    with member.path.open("rb") as stream:
        if stream.read(len(UTF8_MARK)) != UTF8_MARK:
            stream.seek(0)
        line = 1
        while data := stream.read(size):
            data += stream.readline()
            if quoted and _flips_quoting(data):
                rest = _to_closing_line(stream, MAX_QUOTED_BYTES - len(data))
                if rest is None:
                    raise DataError(
                        f"{member.label}: a double quote after line {line} never closes"
                    )
                data += rest
            if not stream.peek(1):
                data = data.rstrip(b"\r\n") + b"\n"
            line += data.count(b"\n")
            if data != b"\n":
                yield data


def _flips_quoting(data: bytes) -> bool:
    return data.count(b'"') % 2 == 1


def _to_closing_line(stream: BinaryIO, most: int) -> bytes | None:
    """Read to the end of the line that closes a double quote, or of the file.

    None if that is more than `most` bytes. Each line is looked at once.
    """
    lines, size = [], 0
    while line := stream.readline():
        lines.append(line)
        size += len(line)
        if size > most:
            return None
        if _flips_quoting(line):
            break
    return b"".join(lines)


def shorten(text: str) -> str:
    """Return `text` in quotes, cut to what a message can show."""
    if len(text) > SHOWN_CHARACTERS:
        text = text[:SHOWN_CHARACTERS] + "..."
    return repr(text)


def bad_line(member: Member, line: int, text: str, problem: str) -> DataError:
    """Return the error for one line of a file: where, what is wrong, and what was found."""
    return DataError(f"{member.label}, line {line}: {problem}; the line is {shorten(text)}")


def read_fields(data: bytes, separator: str, width: int, *, quoted: bool) -> pl.DataFrame:
    """Split lines into `width` columns ``c0``, ``c1``, ... of String; a missing field is null.

    Raises
    ------
    polars.exceptions.PolarsError
        A line has more fields, is not UTF-8, or is quoted wrongly.
    """
    # polars takes the number of columns from the first line, which may be the faulty one.
    header = separator.join(f"c{index}" for index in range(width)).encode() + b"\n"
    return pl.read_csv(
        header + data,
        separator=separator,
        quote_char='"' if quoted else None,
        infer_schema=False,
    )


def find_bad_line(
    member: Member,
    piece: Piece,
    separator: str,
    problem_of: Callable[[list[str]], str | None],
    *,
    quoted: bool,
) -> DataError:
    """Return the error for the first line of a refused piece that breaks a rule.

    This is the slow second look, line by line, at a piece that the fast reader refused.

    Parameters
    ----------
    member, piece, separator, quoted
        What was read, and how its fields are told apart.
    problem_of : callable
        What is wrong with the fields of a line, or None.
    """
    for line, text, fields in _records(member, piece, separator, quoted):
        problem = problem_of(fields) if text else "the line is blank"
        if problem is not None:
            return bad_line(member, line, text, problem)
    last = piece.line + piece.lines - 1
    return DataError(
        f"{member.label}: cannot be read somewhere between lines {piece.line} and {last}; look for "
        "control characters, or double quotes inside a field (write those twice, and the field in "
        "quotes)"
    )


def _records(
    member: Member, piece: Piece, separator: str, quoted: bool
) -> Iterator[tuple[int, str, list[str]]]:
    """Yield the number, the text and the fields of every line, or raise at one that has none."""
    lines = enumerate(piece.data.removesuffix(b"\n").split(b"\n"), start=piece.line)
    texts = (_decode(member, line, data) for line, data in lines)
    if not quoted:
        for line, text in enumerate(texts, start=piece.line):
            yield line, text, text.split(separator)
        return
    reader = csv.reader((text + "\n" for text in texts), delimiter=separator, strict=True)
    line = piece.line
    try:
        with any_field_size():
            for fields in reader:
                yield line, separator.join(fields), fields
                line = piece.line + reader.line_num
    except csv.Error as error:
        problem = f"its double quotes cannot be understood ({error})"
        raise bad_line(member, line, "", problem) from error


@contextmanager
def any_field_size() -> Iterator[None]:
    """Let Python's csv read fields as long as polars does: it refuses 128 KiB otherwise."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _decode(member: Member, line: int, data: bytes) -> str:
    try:
        return data.decode().removesuffix("\r")
    except UnicodeDecodeError as error:
        text = data.decode(errors="replace")
        raise bad_line(member, line, text, "this is not UTF-8 text") from error
