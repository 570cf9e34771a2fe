"""Read text files in pieces of whole lines, and make the errors for malformed lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import polars as pl
from polars.exceptions import PolarsError

from mascot_jax.data.archive import Member
from mascot_jax.data.formats.foreign import problem_of_content
from mascot_jax.errors import DataError

# Large enough for polars' full speed; small enough that a piece's strings take little memory
# beside the ratings of a data set of this size.
PIECE_BYTES = 64 * 2**20
# Otherwise an unclosed quote would read the rest of the file into one piece.
MAX_QUOTED_BYTES = 4 * PIECE_BYTES
SHOWN_CHARACTERS = 60
HEAD_BYTES = 2**16
HEAD_LINES = 100
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


def read_head(member: Member) -> list[str]:
    """Return the first lines of a text file, up to `HEAD_LINES`, without a byte order mark.

    Raises
    ------
    DataError
        The file is empty, or holds no text in UTF-8.
    """
    with member.path.open("rb") as stream:
        head = stream.read(HEAD_BYTES) + stream.readline(MAX_QUOTED_BYTES)
    problem = problem_of_content(head)
    if problem is not None:
        raise DataError(f"{member.label}: {problem}")
    head = _without_blank_end(head.removeprefix(UTF8_MARK))
    if not head:
        raise _empty(member)
    lines = head.removesuffix(b"\n").split(b"\n", HEAD_LINES)[:HEAD_LINES]
    texts = [line.decode(errors="replace").removesuffix("\r") for line in lines]
    if not texts[0].strip():
        raise bad_line(member, 1, texts[0], "the line is blank: remove it")
    if texts[0].lower().startswith("sep="):
        raise bad_line(member, 1, texts[0], "it tells Excel the separator: remove it")
    return texts


def _empty(member: Member) -> DataError:
    return DataError(f"{member.label}: the file is empty; it should hold a table")


def read_pieces(
    member: Member, *, quoted_after: str | None = None, size: int | None = None
) -> Iterator[Piece]:
    """Read a text file in pieces of whole lines.

    A byte order mark at the start and blank lines at the end are dropped.

    Parameters
    ----------
    member : Member
        The file.
    quoted_after : str, optional
        The separator of fields that double quotes may enclose, line ends with them; no piece ends
        at such a line end.
    size : int, optional
        Approximate bytes per piece; default `PIECE_BYTES`.

    Raises
    ------
    DataError
        The file is empty, or a quote is not closed.
    """
    line = 1
    for data in _blocks(member, quoted_after, size or PIECE_BYTES):
        piece = Piece(data, line)
        yield piece
        line += piece.lines
    if line == 1:
        raise _empty(member)


def _blocks(member: Member, quoted_after: str | None, size: int) -> Iterator[bytes]:
    with member.path.open("rb") as stream:
        if stream.read(len(UTF8_MARK)) != UTF8_MARK:
            stream.seek(0)
        line, blank = 1, b""
        while data := stream.read(size):
            data += stream.readline()
            opening = _open_quote(data, quoted_after)
            if opening is not None:
                rest = _to_closing_line(stream, MAX_QUOTED_BYTES - len(data))
                if rest is None:
                    at = line + blank.count(b"\n") + data.count(b"\n", 0, opening)
                    raise DataError(
                        f"{member.label}, line {at}: a double quote opens a field and never closes"
                    )
                data += rest
            data = blank + data
            whole = _without_blank_end(data)
            blank = data[len(whole) :]  # at the end of the file it is dropped
            if whole:
                line += whole.count(b"\n")
                yield whole


def _without_blank_end(data: bytes) -> bytes:
    """Return lines without the blank ones at the end, and with a line end."""
    end = len(data)
    while end and not data[(start := data.rfind(b"\n", 0, end - 1) + 1) : end].strip():
        end = start
    if end == len(data) and not data.endswith(b"\n"):
        return data.rstrip(b"\r") + b"\n" if data else data
    return data[:end]


def quoted_fields(data: bytes, separator: str) -> Iterator[re.Match[bytes]]:
    """Yield the fields in double quotes; group 1 is empty for one that does not close.

    Quotes inside of other fields, as of inches, open nothing.
    """
    begin = rb"(?:\A|(?<=[\n" + re.escape(separator.encode()) + rb"]))"
    return re.finditer(begin + rb'"(?:[^"]++|"")*+("?)', data)


def _open_quote(data: bytes, separator: str | None) -> int | None:
    """Return the place of a double quote that opens a field and does not close in `data`.

    Where the number of quotes is even, all are taken to be closed: scanning them takes as long as
    parsing.
    """
    if separator is None or not _flips_quoting(data):
        return None
    fields = quoted_fields(data, separator)
    return next((field.start() for field in fields if not field[1]), None)


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


def split_fast(piece: Piece, separator: str, width: int, *, quoted: bool) -> pl.DataFrame | None:
    """Split the lines of a piece, as `read_fields` does.

    Return None where that fails, or where double quotes make the result doubtful: `read_records`
    then tells what is there.
    """
    quotes = quoted and b'"' in piece.data
    try:
        fields = read_fields(piece.data, separator, width, quoted=quotes)
    except PolarsError:
        return None
    # To polars, a misplaced quote may begin a text that goes on over the line's end.
    missing = piece.lines - fields.height
    if quotes and missing and missing != _inner_lines(piece.data, separator):
        return None
    return fields


def _inner_lines(data: bytes, separator: str) -> int | None:
    """Return the number of line ends inside of fields in double quotes; None if quotes are wrong.

    polars takes what follows a closing quote for a part of the field, and lines with it.
    """
    inner, ends = 0, (separator.encode(), b"\n", b"\r", b"")
    for field in quoted_fields(data, separator):
        if not field[1] or data[field.end() : field.end() + 1] not in ends:
            return None
        inner += field[0].count(b"\n")
    return inner


def unreadable(member: Member, piece: Piece) -> DataError:
    """Return the error for a piece in which no line is malformed, and that cannot be read."""
    last = piece.line + piece.lines - 1
    return DataError(
        f"{member.label}: cannot be read somewhere between lines {piece.line} and {last}; look for "
        "control characters, or double quotes inside a field (write those twice, and the field in "
        "quotes)"
    )


def read_records(
    member: Member, piece: Piece, separator: str, *, quoted: bool
) -> Iterator[tuple[int, str, list[str]]]:
    """Yield number, text and fields of every line, slowly; a blank line has no text.

    Raises
    ------
    DataError
        A line cannot be split, or is not UTF-8.
    """
    lines = enumerate(piece.data.removesuffix(b"\n").split(b"\n"), start=piece.line)
    texts = (_decode(member, line, data) for line, data in lines)
    if not quoted:
        for line, text in enumerate(texts, start=piece.line):
            text = text.removesuffix("\r")
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
        text = piece.data.split(b"\n")[line - piece.line].decode(errors="replace")
        raise bad_line(member, line, text, _problem_of_quotes(str(error))) from error


def _problem_of_quotes(error: str) -> str:
    if "end of data" in error:
        return (
            "its double quotes cannot be understood: one opens a field and never closes; remove "
            "it, or write it twice and the field in quotes"
        )
    return f"its double quotes cannot be understood ({error})"


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
        return data.decode()
    except UnicodeDecodeError as error:
        text = data.decode(errors="replace")
        problem = "this is not UTF-8 text; for Latin-1, run `iconv -f LATIN1 -t UTF-8 OLD > NEW`"
        raise bad_line(member, line, text, problem) from error
