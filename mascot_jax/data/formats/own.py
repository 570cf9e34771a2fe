"""Read one's own ratings, or pairs of users and items, in any format, from any place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from glob import escape
from pathlib import Path, PurePosixPath
from typing import TypeVar

import polars as pl

from mascot_jax.data.archive import Member, Members, open_members
from mascot_jax.data.formats import numpy_file
from mascot_jax.data.formats.columns import PAIRS, RATINGS
from mascot_jax.data.formats.delimited import check_columns as check_text
from mascot_jax.data.formats.delimited import read_delimited, read_delimited_pieces
from mascot_jax.data.formats.parquet import check_columns as check_parquet
from mascot_jax.data.formats.parquet import is_parquet, read_parquet, read_parquet_pieces
from mascot_jax.data.formats.values import stack
from mascot_jax.data.place import STANDARD_INPUT, as_file, split_place
from mascot_jax.data.unpack import COMPRESSIONS, kind_of
from mascot_jax.errors import DataError, MissingColumnError, printable
from mascot_jax.settings import Columns

SUFFIXES = (".csv", ".tsv", ".txt", ".psv", ".data", ".dat", ".parquet", ".pq", ".npz")
"""Suffixes of the files that are looked at in an archive or folder; another is read if named."""
PACKED = tuple(f".{suffix}" for suffix in COMPRESSIONS)
_PATTERNS = tuple(
    f"{name}{packed}"
    for name in (*(f"*{suffix}" for suffix in SUFFIXES), "part-*")
    for packed in ("", *PACKED)
)
_SHOWN = 5

_T = TypeVar("_T")


def read_own(
    place: str | Path,
    columns: Columns,
    keys: tuple[str, ...] = RATINGS,
    *,
    pairs_will_do: bool = False,
) -> pl.DataFrame:
    """Read ratings or pairs: text with any separator, Parquet, or NumPy's ``.npz``.

    Parameters
    ----------
    place : str or Path
        A file, also compressed (gz, bz2, xz, zst); an archive (zip, tar, compressed tar) or folder
        with one such file that has the columns, or with the parts of one table; ``x.zip:NAME``, a
        file in it; ``-``, standard input. Formats are told by content, not by suffix.
    columns : Columns
        Columns to read.
    keys : tuple of str
        ``user``, ``item`` and, of ratings, ``rating``.
    pairs_will_do : bool
        Whether a file may have two columns, of users and items; there are no ratings then.

    Returns
    -------
    polars.DataFrame, shape (ratings, columns)
        ``user`` and ``item`` (Int64 or String) and ``rating`` (Float32), in the files' order.

    Raises
    ------
    DataError
        No file or several files have the columns, or a row is malformed.
    """
    with open_tables(place) as tables, ExitStack() as opened:
        candidates = [opened.enter_context(unpacked(member, tables)) for member in tables.found]
        if pairs_will_do and all(_is_of_pairs(member, columns) for member in candidates):
            keys = PAIRS
        chosen = _chosen(tables.source, candidates, columns, keys)
        return stack([_read(member, columns, keys) for member in chosen])


@contextmanager
def open_own(place: str | Path, columns: Columns) -> Iterator[Callable[[], Iterator[pl.DataFrame]]]:
    """Yield a function that reads the ratings of `read_own` piece by piece, each time anew.

    Ids of a piece are Int64 if they can be, even where those of another piece are String.
    """
    with open_tables(place) as tables, ExitStack() as opened:
        candidates = [opened.enter_context(unpacked(member, tables)) for member in tables.found]
        chosen = _chosen(tables.source, candidates, columns, RATINGS)

        def pieces() -> Iterator[pl.DataFrame]:
            for member in chosen:
                read = _format(member, read_parquet_pieces, _read_whole, _read_text_pieces)
                yield from read(member, columns, RATINGS)

        yield pieces


@contextmanager
def open_tables(place: str | Path, wanted: Sequence[str] = ()) -> Iterator[Members]:
    """Yield the files of a place that may hold tables; see `unpacked` for compressed ones.

    Parameters
    ----------
    place : str or Path
        As of `read_own`.
    wanted : sequence of str
        Names of the files that are looked at in an archive or folder, as of `open_members`; empty:
        by their suffixes.

    Raises
    ------
    DataError
        There is no such file.
    """
    source, name = split_place(place)
    with ExitStack() as opened:
        path = opened.enter_context(as_file(source))
        members = _open(opened, path, name, wanted or _PATTERNS)
        found = [m for m in members.found if name is not None or not _is_hidden(m.name)]
        if path != source:  # a copy of standard input, or of a pipe
            shown = "standard input" if str(source) == STANDARD_INPUT else str(source)
            found = [Member("", shown, m.path, m.pattern) for m in found]
        if not found:
            raise _nothing(source, name, members, wanted)
        yield Members(source, tuple(found), members.packed, members.names)


def _open(opened: ExitStack, path: Path, name: str | None, wanted: Sequence[str]) -> Members:
    kind = kind_of(path)
    if kind == "zip" and name is None:
        with open_members(path, []) as members:  # unpacks nothing
            if numpy_file.is_npz(members.names):
                return Members(path, (Member(path.name, str(path), path, "*.npz"),))
    return opened.enter_context(open_members(path, _patterns(kind, name, wanted)))


def _patterns(kind: str, name: str | None, wanted: Sequence[str] = _PATTERNS) -> Sequence[str]:
    """Return which files are looked at in a source of a kind (`kind_of`)."""
    if name is not None:
        return [name if re.search("[*?]", name) else escape(name)]
    return wanted if kind in ("zip", "tar", "folder") else ["*"]


def may_read(place: str | Path, file: Path) -> bool:
    """Return whether a place is of a file that exists: it itself, or a file of the folder there."""
    source, name = split_place(place)
    if not file.exists() or not source.exists():
        return False
    if source.samefile(file):
        return True
    if not source.is_dir() or not file.is_file():
        return False
    with open_members(source, _patterns("folder", name)) as members:
        return any(member.path.samefile(file) for member in members.found)


def _is_hidden(name: str) -> bool:
    """Return whether Spark and others leave a file out of a table, as those of ``_temporary``."""
    return any(part[0] in "._" for part in PurePosixPath(name).parts)


@contextmanager
def unpacked(member: Member, tables: Members) -> Iterator[Member]:
    """Yield a member itself, or what is in it if it is compressed."""
    if kind_of(member.path) not in COMPRESSIONS:
        yield member
        return
    with open_members(member.path, ["*"], tables.packed) as inside:
        (inner,) = inside.found
        yield Member(member.name, member.label, inner.path, member.pattern)


def _chosen(
    source: Path, candidates: list[Member], columns: Columns, keys: tuple[str, ...]
) -> list[Member]:
    """Return the only file that has the columns, or all parts of the only such table."""
    if len(candidates) == 1:
        return candidates
    problems = {member.name: _problem_of(member, columns, keys) for member in candidates}
    fitting = [member for member in candidates if problems[member.name] is None]
    if not fitting:
        raise DataError(
            f"{source}: none of its {len(candidates)} files has the columns: "
            + "; ".join([str(p) for p in problems.values()][:_SHOWN])
        )
    tables = {table_of(member.name) for member in fitting}
    if len(tables) > 1:  # such as users, movies and ratings without header lines
        tables = {table for table in tables if "rating" in table.lower()} or tables
    if len(tables) > 1:
        names = [member.name for member in fitting]
        raise DataError(
            f"{source}: {len(fitting)} files have the columns, {names[:_SHOWN]}: name the file "
            f"itself, such as {source}:{names[0]}"
        )
    parts = [member for member in candidates if table_of(member.name) in tables]
    parts = [member for member in parts if member.path.stat().st_size]  # Spark leaves empty ones
    for member in parts:
        if problems[member.name] is not None:
            raise DataError(
                f"{problems[member.name]}; it is taken for a part of the same table as "
                f"{fitting[0].name}"
            )
    return parts


def table_of(name: str) -> str:
    """Return what the names of all parts of a table have in common.

    Parts differ in numbers, in unique identifiers, and in folders such as ``year=2020``.
    """
    path = PurePosixPath(name)
    folders = [folder for folder in path.parts[:-1] if "=" not in folder]
    plain = re.sub("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "#", path.name.lower())
    return "/".join([*folders, re.sub("[0-9]+", "#", plain)])


def _problem_of(member: Member, columns: Columns, keys: tuple[str, ...]) -> str | None:
    """Return why a file cannot be the one with the columns, or None."""
    check = _format(member, check_parquet, numpy_file.check_columns, check_text)
    try:
        check(member, columns, keys)
    except DataError as error:
        return str(error)
    return None


def _is_of_pairs(member: Member, columns: Columns) -> bool:
    """Return whether a file has two columns, and none of ratings."""
    check = _format(member, check_parquet, numpy_file.check_columns, check_text)
    try:
        check(member, columns, RATINGS)
    except MissingColumnError as error:
        return error.key == "rating" and error.columns == len(PAIRS)
    except DataError:
        return False
    return False


def _read(member: Member, columns: Columns, keys: tuple[str, ...]) -> pl.DataFrame:
    read = _format(member, read_parquet, numpy_file.read_npz, _read_text)
    return read(member, columns, keys)


def _read_whole(member: Member, columns: Columns, keys: tuple[str, ...]) -> Iterator[pl.DataFrame]:
    yield numpy_file.read_npz(member, columns, keys)


def _read_text_pieces(
    member: Member, columns: Columns, keys: tuple[str, ...]
) -> Iterator[pl.DataFrame]:
    return read_delimited_pieces(member, None, columns, keys)


def _read_text(member: Member, columns: Columns, keys: tuple[str, ...]) -> pl.DataFrame:
    return read_delimited(member, None, columns, keys)


def _format(member: Member, parquet: _T, npz: _T, text: _T) -> _T:
    if is_parquet(member.path):
        return parquet
    return npz if kind_of(member.path) == "zip" else text


def _nothing(source: Path, name: str | None, members: Members, wanted: Sequence[str]) -> DataError:
    names = [printable(n) for n in members.names]
    if "xl/workbook.xml" in names:
        return DataError(f"{source}: this is an Excel workbook: save it as CSV UTF-8")
    shown = f"{names[:_SHOWN]}{f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''}"
    if name is not None:
        return DataError(f"{source}: holds no file named {name}, only {shown}")
    if wanted:
        return DataError(
            f"{source}: holds no file named {' or '.join(wanted)}, only {shown}: name the file "
            f"itself, as {source}:NAME"
        )
    return DataError(
        f"{source}: holds no file with one of the suffixes {', '.join(SUFFIXES)}, only {shown}: "
        f"name the file itself, as {source}:NAME"
    )
