"""Read text files in pieces of whole lines, and make the errors for malformed lines."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import polars as pl

from mascot_jax.data.archive import Member
from mascot_jax.errors import DataError

# Large enough for polars' full speed; small enough that a piece's strings take little memory
# beside the ratings of a data set of this size.
PIECE_BYTES = 64 * 2**20
# Otherwise an unclosed quote would read the rest of the file into one piece.
MAX_QUOTED_BYTES = 4 * PIECE_BYTES
SHOWN_CHARACTERS = 60
UTF8_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Piece:
    """Consecutive whole lines of a file.

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
    """Read a text file in pieces of whole lines.

    A byte order mark at the start and blank lines at the end are dropped.

    Parameters
    ----------
    member : Member
        The file.
    quoted : bool
        Whether double quotes may enclose line ends; no piece ends at such a line end.
    size : int, optional
        Approximate bytes per piece; default `PIECE_BYTES`.

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
    """Read to the end of the line that closes a double quote, or to the end of the file.

    Return None after more than `most` bytes. Each line is scanned once.
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
    """Return `text` in quotes, shortened for a message."""
    if len(text) > SHOWN_CHARACTERS:
        text = text[:SHOWN_CHARACTERS] + "..."
    return repr(text)


def bad_line(member: Member, line: int, text: str, problem: str) -> DataError:
    """Return the error for one line of a file: line number, problem and text."""
    return DataError(f"{member.label}, line {line}: {problem}; the line is {shorten(text)}")


def read_fields(data: bytes, separator: str, width: int, *, quoted: bool) -> pl.DataFrame:
    """Split lines into `width` String columns ``c0``, ``c1``, ...; a missing field is null.

    Raises
    ------
    polars.exceptions.PolarsError
        A line has more fields, is not UTF-8, or is quoted wrongly.
    """
    # polars takes the number of columns from the first line, which may be malformed.
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
    """Return the error for the first malformed line of a piece that the fast reader refused.

    This is slow, as it reads line by line.

    Parameters
    ----------
    member, piece, separator, quoted
        The piece, its file, and how fields are separated and quoted.
    problem_of : callable
        Takes the fields of a line; returns their problem, or None.
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
    """Yield number, text and fields of every line; raise `DataError` if a line cannot be split."""
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
    """Raise the limit of Python's csv on field length, 128 KiB by default, to match polars."""
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
