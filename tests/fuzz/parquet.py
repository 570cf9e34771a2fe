"""Ratings in Parquet: pages and a footer, whose damage the format has no checksum for."""

import io
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import polars as pl

from mascot_jax.data.archive import Member
from mascot_jax.data.formats.columns import PAIRS
from mascot_jax.data.formats.own import read_own
from mascot_jax.data.formats.parquet import read_parquet
from mascot_jax.settings import Columns
from tests.fuzz.mutation import damage
from tests.fuzz.target import Target

TAIL = 8
"""Bytes behind the footer: its length, and the mark of the format."""

USERS: tuple[Any, ...] = (
    [1, 2, 3],
    ["a", "b\nc", "\0" * 9],
    pl.Series([2**64 - 1, 0, 1], dtype=pl.UInt64),
    pl.Series(["x", "y", "x"], dtype=pl.Categorical),
    pl.Series([-1, 2, None], dtype=pl.Int8),
    pl.Series([1, 2, 3]).cast(pl.Decimal(38, 0)),
    [1.5, 2.5, 3.5],
    [b"\xff", b"", b"a"],
    [[1], [2, 3], []],
    [{"a": 1}, {"a": 2}, {"a": None}],
)
RATINGS: tuple[Any, ...] = (
    [1.0, 2.0, 3.0],
    pl.Series([1, 2, 3]).cast(pl.Decimal(10, 2)),
    pl.Series([1, None, 5], dtype=pl.UInt8),
    [float("nan"), 1e39, -1.0],
    [True, False, True],
    [None, None, None],
)


def make_seeds() -> Sequence[bytes]:
    frames = [{"user": users, "item": [7, 8, 9], "rating": RATINGS[0]} for users in USERS]
    frames += [{"user": USERS[0], "item": ["p", "q", "r"], "rating": values} for values in RATINGS]
    frames.append({"user": [], "item": [], "rating": []})
    many = list(range(300))
    frames.append({"user": many, "item": [str(i % 7) for i in many], "rating": many})
    return [
        _written(frame, codec)
        for number, frame in enumerate(frames)
        for codec in ("uncompressed", ("zstd", "snappy", "lz4", "gzip", "brotli")[number % 5])
    ]


def _written(frame: dict[str, Any], codec: Any) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(frame).write_parquet(out, compression=codec, row_group_size=100)
    return out.getvalue()


def alter(rng: Random, data: bytes) -> bytes:
    """Damage the footer, or the pages, and keep the frame whole: its length is put right."""
    length = int.from_bytes(data[-TAIL:-4], "little")
    pages, footer = data[: -TAIL - length], data[-TAIL - length : -TAIL]
    if rng.random() < 0.7:
        footer = damage(rng, footer)
    else:
        pages = pages[:4] + damage(rng, pages[4:])
    return pages + footer + len(footer).to_bytes(4, "little") + data[-4:]


def read(path: Path) -> object:
    frame = read_parquet(Member(path.name, path.name, path, "*"), Columns())
    # What is accepted can be used: text that is none would only fail here.
    return [frame[name].to_numpy() for name in frame.columns]


def read_pairs_of(path: Path) -> object:
    return read_own(path, Columns(), PAIRS)


TARGETS = (
    Target("parquet", make_seeds, alter, read),
    Target("pairs-parquet", make_seeds, alter, read_pairs_of, "input.parquet"),
)
