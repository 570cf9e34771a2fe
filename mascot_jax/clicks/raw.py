"""Click data as read: labels, numbers and ids as text, in frames of many rows."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from mascot_jax.base.files import atomic_write
from mascot_jax.base.json_text import parse_json
from mascot_jax.errors import DataError

LABEL: Final = "label"
PROBABILITY: Final = "probability"
FRAME_ROWS: Final = 1 << 17
"""Rows of a frame: enough for polars' full speed, few enough that their text takes little."""
_KEY: Final = b"mascot_clicks"


def dense_name(place: int) -> str:
    """Return the name, in frames, of a column of numbers."""
    return f"dense{place}"


def category_name(place: int) -> str:
    """Return the name, in frames, of a column of ids."""
    return f"category{place}"


@dataclass(frozen=True)
class Schema:
    """Names of the columns, as their file has them.

    Attributes
    ----------
    dense, categories : tuple of str
        Columns of numbers and of ids.
    """

    dense: tuple[str, ...]
    categories: tuple[str, ...]

    @property
    def types(self) -> dict[str, Any]:
        """Name and type of each column of a frame but the label's."""
        dense = {dense_name(i): pl.Float32() for i in range(len(self.dense))}
        return dense | {category_name(i): pl.String() for i in range(len(self.categories))}


@dataclass(frozen=True)
class RawClicks:
    """All rows of a data set, readable again and again.

    Attributes
    ----------
    schema : Schema
        The columns.
    rows : int
        Number of rows.
    frames : callable
        Returns a new iterator over the rows in the order of the file, as frames with the columns
        ``label`` (UInt8, 0 or 1; not in data to predict), ``dense0``, ... (Float32, finite, null
        where missing), ``category0``, ... (String, null where missing) and, of planted data,
        ``probability`` (Float32) that the label is 1.
    facts : dict
        At least ``name`` and ``source``.
    """

    schema: Schema
    rows: int
    frames: Callable[[], Iterator[pl.DataFrame]]
    facts: Mapping[str, Any] = field(default_factory=dict)


def write_raw(
    path: str | os.PathLike[str],
    schema: Schema,
    frames: Iterator[pl.DataFrame],
    facts: Mapping[str, Any],
) -> int:
    """Write frames to one Parquet file, atomically; return the number of rows.

    Raises
    ------
    DataError
        There is no row.
    """
    about = {"dense": schema.dense, "categories": schema.categories, "facts": dict(facts)}
    rows = 0
    with atomic_write(path) as temporary:
        writer = None
        try:
            for frame in frames:
                table = frame.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
                if writer is None:
                    text = {_KEY: json.dumps(about, sort_keys=True).encode()}
                    writer = pq.ParquetWriter(
                        temporary, table.schema.with_metadata(text), compression="zstd"
                    )
                writer.write_table(table.replace_schema_metadata(writer.schema.metadata))
                rows += frame.height
        finally:
            if writer is not None:
                writer.close()
        if not rows:
            raise DataError(f"{facts.get('source')}: there are no rows")
    return rows


def open_raw(path: str | os.PathLike[str]) -> RawClicks:
    """Open a file of `write_raw`.

    Raises
    ------
    DataError
        The file is damaged, or of another kind.
    """
    path = Path(path)
    try:
        with pq.ParquetFile(path) as file:
            about = parse_json((file.schema_arrow.metadata or {})[_KEY])
            schema = Schema(tuple(about["dense"]), tuple(about["categories"]))
            if not set(schema.types) <= set(file.schema_arrow.names):
                raise ValueError("a column is missing")
            return RawClicks(
                schema, file.metadata.num_rows, lambda: _frames(path), dict(about["facts"])
            )
    except (pa.ArrowException, KeyError, ValueError, TypeError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise _not_raw(path, error) from error


def _frames(path: Path) -> Iterator[pl.DataFrame]:
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=FRAME_ROWS):
                batch.validate(full=True)  # polars assumes that all text is valid UTF-8
                frame = pl.from_arrow(pa.Table.from_batches([batch]))
                assert isinstance(frame, pl.DataFrame)  # always, for a table
                yield frame
    except (pa.ArrowException, OSError) as error:
        raise _not_raw(path, error) from error


def _not_raw(path: Path, error: Exception) -> DataError:
    reason = (str(error).splitlines() or ["damaged"])[0]
    return DataError(f"{path}: not whole click data as read ({reason}): read it again")
