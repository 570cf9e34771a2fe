"""The data sets that are known by name: where each is, what it must be, and how it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from mascot_jax.data.archive import open_members
from mascot_jax.data.readers.by_suffix import read_by_suffix
from mascot_jax.data.readers.delimited import Layout, read_delimited
from mascot_jax.data.readers.netflix import read_netflix
from mascot_jax.data.readers.yahoo_music import read_yahoo_music
from mascot_jax.settings import Columns

Reader = Callable[[Path, Columns], pl.DataFrame]


@dataclass(frozen=True)
class DataSet:
    """One data set.

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


GROUPLENS = "https://files.grouplens.org/datasets/movielens"
GROUPLENS_TERMS = (
    "For research use under GroupLens' terms, which ask for no redistribution without permission "
    "and for a citation of: F. M. Harper and J. A. Konstan, The MovieLens Datasets: History and "
    "Context, ACM TiiS 5(4), 2015."
)
NETFLIX_TERMS = (
    "For research use under the terms of the Netflix Prize. J. Bennett and S. Lanning, The Netflix "
    "Prize, KDD Cup and Workshop, 2007."
)
YAHOO_TERMS = (
    "For academic use under the terms of Yahoo! Webscope. G. Dror, N. Koenigstein, Y. Koren and "
    "M. Weimer, The Yahoo! Music Dataset and KDD-Cup '11, JMLR W&CP 18, 2012."
)


def _read_movielens(
    source: Path, _: Columns, *, name: str, layout: Layout, columns: Columns
) -> pl.DataFrame:
    with open_members(source, [name]) as members:
        return read_delimited(members.one(name), layout, columns)


def _movielens(name: str, digest: str, file: str, separator: str, low: float) -> DataSet:
    header = file.endswith(".csv")
    columns = (
        Columns(user="userId", item="movieId", rating="rating")
        if header
        else Columns(user="0", item="1", rating="2")
    )
    # The fourth field, the time, is not used, but a line without it is a line that was cut.
    layout = Layout(separator, width=4, bounds=(low, 5.0))
    reader = partial(_read_movielens, name=file, layout=layout, columns=columns)
    return DataSet(name, f"{GROUPLENS}/{name}.zip", digest, reader, layout.bounds, GROUPLENS_TERMS)


def _table() -> dict[str, DataSet]:
    # GroupLens publishes an MD5 beside each archive. These were each found in several public code
    # bases in November 2026, and no other value in any; GroupLens' own files were not read.
    sets = [
        _movielens("ml-100k", "md5:0e33842e24a9c977be4e0107933c0723", "u.data", "\t", 1.0),
        _movielens("ml-1m", "md5:c4d9eecfca2ab87c1945afe126590906", "ratings.dat", "::", 1.0),
        _movielens("ml-10m", "md5:ce571fd55effeba0271552578f2648bd", "ratings.dat", "::", 0.5),
        _movielens("ml-25m", "md5:6b51fb2759a8657d3bfcbfc42b592ada", "ratings.csv", ",", 0.5),
        _movielens("ml-32m", "md5:d472be332d4daa821edc399621853b57", "ratings.csv", ",", 0.5),
        DataSet(
            "netflix",
            None,
            None,
            lambda source, _: read_netflix(source),
            (1.0, 5.0),
            NETFLIX_TERMS,
            "Netflix no longer hands the ratings out. If you hold a copy, set data.source to the "
            "folder or archive with probe.txt and either training_set.tar (or its mv_*.txt) or "
            "Kaggle's combined_data_1.txt to combined_data_4.txt",
        ),
        DataSet(
            "yahoo-music",
            None,
            None,
            lambda source, _: read_yahoo_music(source),
            (1.0, 5.0),
            YAHOO_TERMS,
            "Ask Yahoo! Webscope for the data of the KDD Cup 2011, track 1, and set data.source to "
            "the folder or archive with trainIdx1.txt and validationIdx1.txt",
        ),
        DataSet(
            "file",
            None,
            None,
            read_by_suffix,
            None,
            "Yours.",
            "Set data.source to the path or URL of your ratings, and data.columns to their columns",
        ),
    ]
    return {dataset.name: dataset for dataset in sets}


DATA_SETS = _table()
