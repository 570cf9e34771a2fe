"""Clicks: text in Criteo's, Avazu's and one's own layout, libFM's, Parquet, and their encoder."""

import io
from pathlib import Path

import polars as pl

from mascot_jax.clicks.formats import text as clicks_text
from mascot_jax.clicks.load import read_rows
from mascot_jax.clicks.sets import CLICK_SETS
from mascot_jax.settings import ClickColumns
from tests.fuzz.mutation import Mutation, damage
from tests.fuzz.target import Target
from tests.fuzz.text import alter
from tests.support.click_files import criteo_lines

TABLE = ClickColumns(dense=["age"])
NAMED = "label,age,site\n0,30,a\n1,,\n0,4.5,b\n"
AVAZU = (
    "id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,app_category,"
    "device_id,device_ip,device_model,device_type,device_conn_type,C14,C15,C16,C17,C18,C19,C20,C21"
)


def _parquet() -> bytes:
    table = io.BytesIO()
    columns = {"label": [0, 1, 1], "age": [30.0, None, 4.5], "site": ["a", "", None]}
    pl.DataFrame(columns).write_parquet(table)
    return table.getvalue()


def _target(name: str, data_set: str, columns: ClickColumns, change: Mutation, *seeds: bytes):
    def read(path: Path) -> object:
        size = path.stat().st_size
        clicks_text.PIECE_BYTES = 2**20 if size % 16 else 1 + size % 97
        with read_rows(CLICK_SETS[data_set], path, columns, labelled=True) as table:
            rows = pl.concat(list(table.frames()))
        assert set(table.schema.types) < set(rows.columns)
        assert rows["label"].is_in([0, 1]).all()
        assert all(rows[name].is_finite().all() for name in rows.columns if "dense" in name)
        return rows

    return Target(name, lambda: seeds, change, read)


TARGETS = (
    _target("criteo", "criteo", ClickColumns(), alter, criteo_lines(4)),
    _target(
        "avazu",
        "avazu",
        ClickColumns(),
        alter,
        f"{AVAZU}\n1,0,14102100,1005,0{',a' * 19}\n2,1,14102123,1005,0{',' * 19}\n".encode(),
    ),
    _target(
        "clicks",
        "file",
        TABLE,
        alter,
        NAMED.encode(),
        NAMED.replace(",", "\t").encode(),
        b'site;label;age\r\n"a;b";1;-3e2\r\n"";0;\r\n"c\nd";1;7\r\n',
    ),
    _target("libfm", "libfm", ClickColumns(), alter, b"-1 204:1 4798:1\n1 42:1 7:1.0\n0 1:1 2:1\n"),
    _target("clicks-pq", "file", TABLE, damage, _parquet()),
)
