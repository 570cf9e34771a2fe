"""Read MovieLens 1M as clicks: a rating of 4 stars or more is one.

Fields are the user and the movie, what is known of both, and crosses of those, as click data has
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl

from mascot_jax.clicks.formats.table import Table
from mascot_jax.clicks.raw import LABEL, Schema, category_name, dense_name
from mascot_jax.data.archive import Member, open_members
from mascot_jax.data.formats.delimited import UNIT_SEPARATOR
from mascot_jax.data.formats.text import (
    Piece,
    bad_line,
    read_pieces,
    read_records,
    split_fast,
    unreadable,
)

POSITIVE: Final = 4
_FILES: Final = {
    "ratings.dat": ("user", "movie", "rating", "time"),
    "users.dat": ("user", "gender", "age", "occupation", "zip"),
    "movies.dat": ("movie", "title", "genres"),
}
"""Columns of the files, all of which are needed."""
FIELDS: Final = {
    "user": pl.col("user"),
    "movie": pl.col("movie"),
    "gender": pl.col("gender"),
    "age": pl.col("age"),
    "occupation": pl.col("occupation"),
    "zip": pl.col("zip"),
    "genres": pl.col("genres"),
    "year": pl.col("year"),
    "user x genre": pl.concat_str("user", pl.lit(" "), "genre"),
    "movie x occupation": pl.concat_str("movie", pl.lit(" "), "occupation"),
    "user x decade": pl.concat_str("user", pl.lit(" "), pl.col("year").str.head(3)),
    "movie x region": pl.concat_str("movie", pl.lit(" "), pl.col("zip").str.head(2)),
}
"""Each field's ids."""
SCHEMA: Final = Schema(("year",), tuple(FIELDS))


def open_movielens(source: Path) -> Table:
    """Return the clicks of the archive or folder; all is read when the rows are asked for.

    Raises
    ------
    DataError
        A file is missing; the rows raise it for a malformed line.
    """
    return Table(SCHEMA, labelled=True, frames=lambda: _frames(source))


def _frames(source: Path) -> Iterator[pl.DataFrame]:
    with open_members(source, list(_FILES)) as members:
        ratings, users, movies = (_read(members.one(name)) for name in _FILES)
    movies = movies.with_columns(
        year=pl.col("title").str.extract(r"\((\d{4})\)$"),
        genre=pl.col("genres").str.extract(r"^([^|]*)"),
    )
    rows = ratings.join(users, on="user", how="left", maintain_order="left")
    rows = rows.join(movies, on="movie", how="left", maintain_order="left")
    columns = {category_name(at): ids for at, ids in enumerate(FIELDS.values())}
    yield rows.select(
        (pl.col("rating").cast(pl.UInt8) >= POSITIVE).cast(pl.UInt8).alias(LABEL),
        pl.col("year").cast(pl.Float32).alias(dense_name(0)),
        **columns,
    )


def _read(member: Member) -> pl.DataFrame:
    names = _FILES[member.pattern]
    frames = []
    for piece in read_pieces(member):
        # The titles are in Latin-1; UTF-8 keeps every other character.
        text = piece.data.decode("latin-1").replace("::", UNIT_SEPARATOR).encode()
        piece = Piece(text, piece.line)
        fields = split_fast(piece, UNIT_SEPARATOR, len(names), quoted=False)
        if fields is None or not _are_good(fields, member.pattern):
            raise _bad_line(member, piece, names)
        frames.append(fields.rename(dict(zip(fields.columns, names, strict=True))))
    return pl.concat(frames)


def _are_good(fields: pl.DataFrame, name: str) -> bool:
    if any(column.null_count() for column in fields.iter_columns()):
        return False
    return name != "ratings.dat" or bool(fields["c2"].is_in(list("12345")).all())


def _bad_line(member: Member, piece: Piece, names: tuple[str, ...]) -> Exception:
    for line, text, fields in read_records(member, piece, UNIT_SEPARATOR, quoted=False):
        shown = text.replace(UNIT_SEPARATOR, "::")
        if len(fields) != len(names) or "" in fields:
            problem = f"there must be {len(names)} fields, separated by ::, and none empty"
            return bad_line(member, line, shown, problem)
        if member.pattern == "ratings.dat" and fields[2] not in list("12345"):
            return bad_line(member, line, shown, f"the rating {fields[2][:20]!r} is not 1 to 5")
    return unreadable(member, piece)
