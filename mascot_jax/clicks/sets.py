"""The click data sets that are known by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal

import polars as pl

from mascot_jax.clicks.formats.libfm import open_libfm
from mascot_jax.clicks.formats.movielens import open_movielens
from mascot_jax.clicks.formats.parquet import open_parquet
from mascot_jax.clicks.formats.rules import Rules
from mascot_jax.clicks.formats.table import Table
from mascot_jax.clicks.formats.text import TextFormat, open_text
from mascot_jax.clicks.planted import SCHEMA as CRITEO_SCHEMA
from mascot_jax.clicks.raw import category_name
from mascot_jax.data.archive import Member
from mascot_jax.data.formats.parquet import is_parquet
from mascot_jax.data.sets.movielens import MOVIELENS
from mascot_jax.settings import ClickColumns

OpenMember = Callable[[Member, ClickColumns, bool | None], Table]


@dataclass(frozen=True)
class ClickSet:
    """Where a data set is from, how its files are read and how it is usually encoded.

    Attributes
    ----------
    name : str
        Name in ``data.name``.
    open_member : callable
        Takes a file, ``data.columns`` (used by ``file`` only) and whether it must have labels
        (None: either); returns the table.
    wanted : tuple of str
        Names of the files that are read from an archive or folder; empty: of any table.
    parts : bool
        Whether all of these are parts of one table, whatever their names.
    whole : bool
        Whether the archive or folder is read as one, by `open_member` with its path.
    numbers, order, count_fields
        What null stands for in `EncodeSettings`.
    url, digest, how_to_get, terms
        As of `mascot_jax.data.sets.DataSet`.
    """

    name: str
    open_member: OpenMember
    terms: str
    wanted: tuple[str, ...] = ()
    parts: bool = False
    whole: bool = False
    numbers: Literal["log", "standard", "none"] = "log"
    order: Literal["file", "random"] = "file"
    count_fields: tuple[str, ...] = ()
    url: str | None = None
    digest: str | None = None
    how_to_get: str = ""


def _open_criteo(member: Member, _: ClickColumns, labelled: bool | None) -> Table:
    return open_text(member, _CRITEO_TEXT, labelled=labelled)


_HEXADECIMAL = ("[0-9a-fA-F]{1,8}", "an id of at most eight hexadecimal digits")
_CRITEO_TEXT: Final = TextFormat(
    ClickColumns(label="label", dense=["I1..I13"], categories=["C1..C26"]),
    Rules(counts=True, patterns=dict.fromkeys(CRITEO_SCHEMA.categories, _HEXADECIMAL)),
    names=("label", *CRITEO_SCHEMA.dense, *CRITEO_SCHEMA.categories),
)

_HOUR = "[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])([01][0-9]|2[0-3])"
_AVAZU_FIELDS: Final = (
    *("hour", "C1", "banner_pos", "site_id", "site_domain", "site_category", "app_id"),
    *("app_domain", "app_category", "device_id", "device_ip", "device_model", "device_type"),
    *("device_conn_type", *(f"C{number}" for number in range(14, 22))),
)
_AVAZU_TEXT: Final = TextFormat(
    ClickColumns(label="click", categories=list(_AVAZU_FIELDS)),
    Rules(patterns={"hour": (_HOUR, "a time such as 14102100, of year, month, day and hour")}),
)


def _open_avazu(member: Member, _: ClickColumns, labelled: bool | None) -> Table:
    """Open Avazu's rows: the time becomes hour of the day and weekday, which come again."""
    table = open_text(member, _AVAZU_TEXT, labelled=labelled)
    schema = replace(table.schema, categories=(*table.schema.categories, "weekday"))
    time, weekday = (category_name(at) for at in (0, len(_AVAZU_FIELDS)))

    def frames() -> Iterator[pl.DataFrame]:
        for frame in table.frames():
            day = pl.col(time).str.head(6).str.to_date("%y%m%d", strict=False)
            yield frame.with_columns(
                pl.col(time).str.tail(2), day.dt.weekday().cast(pl.String).alias(weekday)
            )

    return Table(schema, table.labelled, frames)


def _open_file(
    member: Member, columns: ClickColumns, labelled: bool | None, header: tuple[str, ...] = ()
) -> Table:
    if is_parquet(member.path):
        return open_parquet(member, columns, labelled=labelled)
    form = TextFormat(columns, Rules(positive=columns.positive), header=header)
    return open_text(member, form, labelled=labelled)


def file_like(header: Sequence[str]) -> ClickSet:
    """Return the data set ``file``, of files that may repeat a header line which is known."""
    known = partial(_open_file, header=tuple(header))
    return replace(CLICK_SETS["file"], open_member=known)


def _open_libfm(member: Member, _: ClickColumns, __: bool | None) -> Table:
    return open_libfm(member)


def _open_movielens(member: Member, _: ClickColumns, __: bool | None) -> Table:
    return open_movielens(member.path)


_ML_1M = next(data_set for data_set in MOVIELENS if data_set.name == "ml-1m")

CLICK_SETS: Final = {
    click_set.name: click_set
    for click_set in (
        ClickSet(
            "criteo",
            _open_criteo,
            "Under Criteo's terms for its public data sets. Criteo Labs, Display Advertising "
            "Challenge, Kaggle, 2014; Criteo 1TB Click Logs, 2013.",
            wanted=("train.txt", "train.txt.gz", "day_*"),
            how_to_get="Accept Criteo's terms and fetch the Kaggle set (dac.tar.gz, with "
            "train.txt) or the Terabyte set (day_0.gz to day_23.gz) from Criteo's page of data "
            "sets, ailab.criteo.com; set data.source to the file, archive or folder",
        ),
        ClickSet(
            "avazu",
            _open_avazu,
            "Under the rules of the competition. Avazu, Click-Through Rate Prediction, Kaggle, "
            "2014.",
            wanted=("train", "train.csv", "train.gz", "train.csv.gz"),
            how_to_get="Accept the rules of Kaggle's competition avazu-ctr-prediction, fetch "
            "train.gz and set data.source to it",
        ),
        ClickSet(
            "ml-1m",
            _open_movielens,
            _ML_1M.terms,
            numbers="standard",
            order="random",
            count_fields=("user", "movie"),
            url=_ML_1M.url,
            digest=_ML_1M.digest,
            whole=True,
        ),
        ClickSet(
            "libfm",
            _open_libfm,
            "Yours, or those of the set.",
            wanted=("*.libfm",),
            parts=True,
            order="random",
            how_to_get="Set data.source to a file in libFM's format, such as Frappe's, or to the "
            "folder of its parts",
        ),
        ClickSet(
            "file",
            _open_file,
            "Yours.",
            numbers="standard",
            order="random",
            how_to_get="Set data.source to the path or URL of your table, and data.columns to its "
            "columns",
        ),
    )
}
"""By name; ``planted`` is generated."""
