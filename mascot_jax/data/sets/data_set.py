"""Description of a named data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mascot_jax.settings import Columns

Reader = Callable[[Path, Columns], pl.DataFrame]


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
        Takes the path of the archive, folder or file and ``data.columns`` (used by ``file`` only);
        returns the columns user, item, rating and optionally test.
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
