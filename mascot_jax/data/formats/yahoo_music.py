"""Read the Yahoo! Music ratings of the KDD Cup 2011, track 1: a training and a validation file.

The cup's test file has no ratings, so the validation file is the test set (252,800,275 training
and 4,003,960 test ratings).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from mascot_jax.data.archive import Member, open_members
from mascot_jax.data.formats.blocks import BlockFormat, read_blocks

TRAINING, VALIDATION = "trainIdx1.txt", "validationIdx1.txt"

FORMAT = BlockFormat(
    mark="|",
    heading="^(?P<owner>[0-9]{1,18})[|](?P<count>[0-9]{1,18})$",
    example="0|166",
    separator="\t",
    width=4,
    bounds=(0.0, 100.0),
)


def read_yahoo_music(source: Path) -> pl.DataFrame:
    """Read the ratings of track 1, mapped from 0..100 to 1..5 by r / 25 + 1.

    Parameters
    ----------
    source : Path
        Folder or archive with ``trainIdx1.txt`` and ``validationIdx1.txt``.

    Returns
    -------
    polars.DataFrame, shape (ratings, 4)
        ``user``, ``item`` (Int64), ``rating`` (Float32, 1 to 5), ``test`` (Boolean: from the
        validation file).

    Raises
    ------
    DataError
        A file is missing, a line is malformed, or a user's number of ratings is not as stated.
    """
    with open_members(source, [TRAINING, VALIDATION]) as members:
        training, validation = members.one(TRAINING), members.one(VALIDATION)
        return pl.concat([*_read(training, test=False), *_read(validation, test=True)])


def _read(member: Member, *, test: bool) -> Iterator[pl.DataFrame]:
    for frame in read_blocks(member, FORMAT):
        # r / 25 + 1, rounded once, in NumPy: polars multiplies long pieces by 1/25.
        ratings = (frame["rating"].to_numpy() + np.float32(25)) / np.float32(25)
        yield frame.select(
            user="owner", item="id", rating=pl.Series(ratings), test=pl.lit(test, pl.Boolean)
        )
