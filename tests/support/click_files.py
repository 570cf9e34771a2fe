"""Small files and sets of clicks."""

import random

from mascot_jax.clicks.load import load_clicks, read_rows
from mascot_jax.clicks.raw import open_raw
from mascot_jax.clicks.sets import CLICK_SETS
from mascot_jax.settings import ClickColumns, ClickDataSettings, validate


def criteo_fields(row=0):
    """The 40 fields of a row in Criteo's layout, some of them empty."""
    rng = random.Random(row)
    counts = [rng.choice(["", "-1", "0", "3", "1382"]) for _ in range(13)]
    ids = [rng.choice(["", "68fd1e64", "80e26c9b", "fb936136"]) for _ in range(26)]
    return [str(row % 2), *counts, *ids]


def criteo_lines(rows):
    """Lines in Criteo's layout."""
    return "".join("\t".join(criteo_fields(row)) + "\n" for row in range(rows)).encode()


def read(path, name, labelled=True, **columns):
    """Names of the columns, and all rows of a file, as one frame."""
    import polars as pl

    with read_rows(CLICK_SETS[name], path, ClickColumns(**columns), labelled=labelled) as table:
        return table.schema, pl.concat(list(table.frames()))


def load(folder, **settings):
    """The raw data of settings."""
    load_clicks(validate(ClickDataSettings, settings, "data"), folder / "raw.parquet")
    return open_raw(folder / "raw.parquet")
