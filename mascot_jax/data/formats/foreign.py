"""Recognise files that cannot be read as ratings, by their first bytes, and say what to do."""

from __future__ import annotations

import re

_PARQUET = "write it as Parquet with the program that reads it"
_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32 text", "run `iconv -f UTF-32 -t UTF-8 OLD > NEW`"),
    (b"\xff\xfe", "UTF-16 text, not UTF-8", "run `iconv -f UTF-16 -t UTF-8 OLD > NEW`"),
    (b"\xfe\xff", "UTF-16 text, not UTF-8", "run `iconv -f UTF-16 -t UTF-8 OLD > NEW`"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", "save it as CSV UTF-8"),
    (b"\x89HDF", "an HDF5 file", _PARQUET),
    (b"ARROW1", "an Arrow or Feather file", _PARQUET),
    (b"ORC", "an ORC file", _PARQUET),
    (b"Obj\x01", "an Avro file", _PARQUET),
    (b"SQLite format 3\x00", "a SQLite database", "export the table as CSV"),
    (b"\x93NUMPY", "a NumPy array", "save users, items and ratings with numpy.savez"),
    (b"\x80\x04", "a pickle", _PARQUET),
    (b"\x80\x05", "a pickle", _PARQUET),
    (b"\x28\xb5\x2f\xfd", "compressed twice", "unpack it once"),
    (b"%%MatrixMarket", "a Matrix Market file", "save what scipy.io.mmread reads with save_npz"),
)
_HTML = re.compile(rb"\s*<(!doctype|html)", re.IGNORECASE)
_JSON = re.compile(rb'\s*(\{\s*"|\[\s*[\[{])')


def problem_of_content(head: bytes) -> str | None:
    """Return what a file is, and the remedy, if its first bytes are not those of a text table."""
    for mark, what, remedy in _MARKS:
        if head.startswith(mark):
            return f"this is {what}: {remedy}"
    if _HTML.match(head):
        return "this is a web page: download the file itself"
    if _JSON.match(head):
        return "this is JSON: write it as CSV or Parquet, such as with polars.read_ndjson"
    if b"\0" in head:
        return _problem_of_zeros(head)
    if b"\r" in head.rstrip(b"\r") and b"\n" not in head:
        return "its lines end in a carriage return alone: run `tr '\\r' '\\n' < OLD > NEW`"
    return None


def _problem_of_zeros(head: bytes) -> str | None:
    """Recognise UTF-16 without a mark; lines with single zeros are for the reader to name."""
    for byteorder, zeros in (("LE", head[1::2]), ("BE", head[::2])):
        if zeros.count(0) > 0.8 * len(zeros):
            return (
                f"this is UTF-16 text, not UTF-8: run `iconv -f UTF-16{byteorder} -t UTF-8 OLD > "
                "NEW`"
            )
    if head.count(0) > 0.1 * len(head):
        return "this is no text: name a file of a format that is read"
    return None
