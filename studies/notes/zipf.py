"""How unevenly frequent are the ids of a file of Criteo's? ``python -m studies.notes.zipf FILE``.

Prints, for each field, the exponent of a Zipf distribution over as many ids as Criteo Kaggle has,
with which as many rows as the file's are expected to show as many different ids as it does. The
planted clicks (`mascot_jax.clicks.planted`) have these exponents, of the first thousands of rows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np
import polars as pl

from mascot_jax.clicks.load import read_rows
from mascot_jax.clicks.planted import KAGGLE_SIZES
from mascot_jax.clicks.raw import category_name
from mascot_jax.clicks.sets import CLICK_SETS
from mascot_jax.settings import ClickColumns

MOST_IDS = 300_000
"""Ids beyond these are too rare to be seen in thousands of rows."""
HIGHEST = 3.0


def main() -> None:
    """Print an exponent a field."""
    parser = argparse.ArgumentParser(prog="python -m studies.notes.zipf", description=__doc__)
    parser.add_argument("file", help="rows in Criteo's layout")
    with read_rows(
        CLICK_SETS["criteo"], parser.parse_args().file, ClickColumns(), labelled=True
    ) as table:
        rows = pl.concat(list(table.frames()))
    fields = range(len(table.schema.categories))
    columns = [rows[category_name(place)].fill_null("") for place in fields]
    found = [
        fit(column.n_unique(), rows.height, size)
        for column, size in zip(columns, KAGGLE_SIZES, strict=True)
    ]
    sys.stdout.write(shown(found))


def fit(distinct: int, rows: int, size: int) -> float:
    """Return the exponent, 0 to `HIGHEST`, with which ``rows`` draws show ``distinct`` ids."""
    logs = np.log(np.arange(1, min(size, MOST_IDS) + 1))
    low, high = 0.0, HIGHEST
    for _ in range(20):
        exponent = (low + high) / 2
        low, high = (
            (exponent, high) if expected(exponent, logs, rows) > distinct else (low, exponent)
        )
    return round((low + high) / 2, 3)


def expected(exponent: float, logs: np.ndarray, rows: int) -> float:
    """Return the expected number of different ids in so many draws."""
    share = np.exp(-exponent * logs)
    share /= share.sum()
    return float(-np.expm1(rows * np.log1p(-np.minimum(share, 1 - 1e-12))).sum())


def shown(exponents: Sequence[float]) -> str:
    """Return a line a field."""
    return "".join(f"C{place}: {value}\n" for place, value in enumerate(exponents, start=1))


if __name__ == "__main__":
    main()
