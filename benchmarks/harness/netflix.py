"""Ratings with the Netflix Prize's numbers of users and items, generated some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts

USERS, ITEMS, RATINGS = 480_189, 17_770, 100_480_507
LARGEST_ID: Final = 2_649_429
CHUNK: Final = 1 << 20


def generated(ratings: int) -> Iterator[tuple[slice, dict[str, NDArray[Any]]]]:
    """Yield so many ratings, chunk by chunk, each with its place."""
    rng = np.random.default_rng(0)
    ids = np.sort(rng.choice(LARGEST_ID, USERS, replace=False))
    for part in parts(ratings, CHUNK):
        size = part.stop - part.start
        yield (
            part,
            {
                "user": ids[(rng.random(size) ** 2 * USERS).astype(np.int64)],
                "item": (rng.random(size) ** 3 * ITEMS).astype(np.int64),
                "rating": rng.integers(1, 6, size).astype(np.float32),
            },
        )


def write_generated(path: Path, ratings: int) -> None:
    """Write so many ratings to a Parquet file, with a row group for each chunk."""
    import pyarrow as pa  # not in processes whose memory is measured
    import pyarrow.parquet as pq

    kinds = pa.schema({"user": pa.int64(), "item": pa.int64(), "rating": pa.float32()})
    with pq.ParquetWriter(path, kinds, compression="zstd") as writer:
        for _, values in generated(ratings):
            writer.write_table(pa.table(values))
