"""Read the Netflix Prize ratings, as first published or as repackaged by Kaggle.

As published: ``training_set.tar`` (or its unpacked folder) with one ``mv_*.txt`` per movie. On
Kaggle: ``combined_data_1.txt`` to ``combined_data_4.txt``, the same files concatenated. Both have
``probe.txt``. Its pairs, which the training files also hold, are the test set and are not trained
on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import polars as pl

from mascot_jax.data.archive import Member, Members, open_members
from mascot_jax.data.formats.blocks import BlockFormat, read_blocks
from mascot_jax.errors import DataError

PROBE, MOVIES, KAGGLE, TAR = "probe.txt", "mv_*.txt", "combined_data_*.txt", "training_set.tar"
# One frame per movie would leave 17,770 small allocations.
BATCH_ROWS = 4_000_000

RATINGS = BlockFormat(
    mark=":",
    heading="^(?P<owner>[0-9]{1,18}):$",
    example="1:",
    separator=",",
    width=3,
    bounds=(1.0, 5.0),
)
PAIRS = BlockFormat(
    mark=":",
    heading="^(?P<owner>[0-9]{1,18}):$",
    example="1:",
    separator=",",
    width=1,
    bounds=(1.0, 5.0),
)


def read_netflix(source: Path) -> pl.DataFrame:
    """Read the Netflix Prize ratings.

    Parameters
    ----------
    source : Path
        Folder or archive with ``probe.txt`` and the ratings in exactly one of the two layouts.

    Returns
    -------
    polars.DataFrame, shape (ratings, 4)
        ``user``, ``item`` (Int64), ``rating`` (Float32, 1 to 5), ``test`` (Boolean: in the probe
        set).

    Raises
    ------
    DataError
        Not exactly one layout or no probe file is there, a line is malformed, or a probe pair has
        no rating.
    """
    with ExitStack() as stack:
        members = stack.enter_context(open_members(source, [PROBE, MOVIES, KAGGLE, TAR]))
        ratings = _rating_files(stack, members)
        probe = _read_probe(members.one(PROBE))
        batches = [_mark_test(batch, probe) for batch in _batches(ratings)]
    frame = pl.concat(batches)
    _check_probe(source, frame, probe)
    return frame


def _rating_files(stack: ExitStack, members: Members) -> list[Member]:
    movies, kaggle = members.all(MOVIES), members.all(KAGGLE)
    if not movies and not kaggle and members.all(TAR):
        tar = members.one(TAR).path
        inner = stack.enter_context(open_members(tar, [MOVIES], members.packed))
        movies = inner.all(MOVIES)
    if bool(movies) == bool(kaggle):
        found = "both" if movies else "neither"
        raise DataError(
            f"{members.source}: holds {found} of the two layouts of the Netflix ratings; keep "
            f"either {TAR} (or its {MOVIES}) or {KAGGLE}, and {PROBE}"
        )
    return movies or kaggle


def _read_probe(member: Member) -> pl.DataFrame:
    pairs = pl.concat(read_blocks(member, PAIRS)).rename({"owner": "item", "id": "user"})
    return pairs.unique().with_columns(test=pl.lit(True))


def _batches(members: Iterable[Member]) -> Iterator[pl.DataFrame]:
    waiting: list[pl.DataFrame] = []
    rows = 0
    for member in members:
        for frame in read_blocks(member, RATINGS):
            waiting.append(frame.select(user="id", item="owner", rating="rating"))
            rows += frame.height
            if rows >= BATCH_ROWS:
                yield pl.concat(waiting, rechunk=True)
                waiting, rows = [], 0
    if waiting:
        yield pl.concat(waiting, rechunk=True)


def _mark_test(batch: pl.DataFrame, probe: pl.DataFrame) -> pl.DataFrame:
    joined = batch.join(probe, on=["user", "item"], how="left", maintain_order="left")
    return joined.with_columns(pl.col("test").fill_null(False))


def _check_probe(source: Path, frame: pl.DataFrame, probe: pl.DataFrame) -> None:
    found = frame.filter("test").select("user", "item").n_unique()
    if found != probe.height:
        raise DataError(
            f"{source}: {probe.height - found} of the {probe.height} pairs in {PROBE} have no "
            "rating in the training files; some of those files are missing or cut"
        )
