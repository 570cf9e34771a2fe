"""Read the user's own ratings, in the format that the file's suffix names."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from mascot_jax.data.archive import open_members
from mascot_jax.data.formats.delimited import Dialect, read_delimited
from mascot_jax.data.formats.parquet import read_parquet
from mascot_jax.errors import DataError
from mascot_jax.settings import Columns

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t", ".data": "\t", ".dat": "::"}
SUFFIXES = (*SEPARATORS, ".parquet")


def read_by_suffix(source: Path, columns: Columns) -> pl.DataFrame:
    """Read a file of ratings: CSV, TSV (also ``.txt``, ``.data``), ``.dat`` (``::``) or Parquet.

    Parameters
    ----------
    source : Path
        The file, a ``.gz`` of it, or a zip, tar, tar.gz or folder with exactly one such file.
    columns : Columns
        Columns to read. Names that are all digits are positions, from 0, in a text file without a
        header line.

    Returns
    -------
    polars.DataFrame, shape (ratings, 3)
        ``user`` and ``item`` (Int64 or String), ``rating`` (Float32), in file order.

    Raises
    ------
    DataError
        Unknown suffix, no file or several files, a missing column, or a malformed row.
    """
    with open_members(source, [f"*{suffix}" for suffix in SUFFIXES]) as members:
        if len(members.found) != 1:
            names = [member.name for member in members.found[:5]]
            raise DataError(
                f"{source}: exactly one file of ratings is needed, with one of the suffixes "
                f"{', '.join(SUFFIXES)}; found {names or 'none'}: name the file itself, or give it "
                "the suffix of what is in it"
            )
        member = members.found[0]
        suffix = member.pattern.removeprefix("*")
        if suffix == ".parquet":
            return read_parquet(member, columns)
        return read_delimited(member, Dialect(SEPARATORS[suffix]), columns)
