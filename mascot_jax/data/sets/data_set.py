"""What is known of a data set with a name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mascot_jax.settings import Columns

Reader = Callable[[Path, Columns], pl.DataFrame]


@dataclass(frozen=True)
class DataSet:
    """Where a data set is, what it must be, and how it is read.

    Attributes
    ----------
    name : str
        Its name in ``data.name``.
    url : str or None
        The official archive; None where it may not, or cannot, be downloaded automatically.
    digest : str or None
        The published digest of that archive, ``md5:...`` or ``sha256:...``.
    reader : callable
        Takes the path of the archive, folder or file and ``data.columns`` (which only ``file``
        uses), and returns the columns user, item, rating and maybe test.
    bounds : (float, float) or None
        Lowest and highest rating, as the reader returns them; None if not known beforehand.
    terms : str
        Licence and citation.
    how_to_get : str
        What to do where `url` is None; empty otherwise.
    """

    name: str
    url: str | None
    digest: str | None
    reader: Reader
    bounds: tuple[float, float] | None
    terms: str
    how_to_get: str = ""
