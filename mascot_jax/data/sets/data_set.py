"""Description of a named data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mascot_jax.errors import DataError
from mascot_jax.settings import Columns

Reader = Callable[[Path, Columns, tuple[str, ...]], pl.DataFrame]


@dataclass(frozen=True)
class DataSet:
    """Source, digest, reader and terms of a data set.

    Attributes
    ----------
    name : str
        Name in ``data.name``.
    url : str or None
        Official archive; None if it may not, or cannot, be downloaded automatically.
    digest : str or None
        Published digest of the archive, ``md5:...`` or ``sha256:...``.
    reader : callable
        Takes the path of the archive, folder or file, ``data.columns`` (used by ``file`` only) and
        the keys of the columns that are wanted, of user, item, rating and time; returns at least
        these and, for a set with its own test ratings, test.
    bounds : (float, float) or None
        Lowest and highest rating that `reader` returns; None if not known beforehand.
    terms : str
        Licence and citation.
    how_to_get : str
        How to get the data if `url` is None; empty otherwise.
    """

    name: str
    url: str | None
    digest: str | None
    reader: Reader
    bounds: tuple[float, float] | None
    terms: str
    how_to_get: str = ""


def without_times(read: Callable[[Path], pl.DataFrame]) -> Reader:
    """Return the reader of a data set whose times are not read, and are refused before reading."""

    def reader(source: Path, _: Columns, keys: tuple[str, ...]) -> pl.DataFrame:
        if "time" in keys:
            raise DataError(
                f"{source}: the times of this data set are not read: choose another split"
            )
        return read(source)

    return reader
