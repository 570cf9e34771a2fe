"""Read one-dimensional safetensors tensors chunk by chunk, with plain reads.

The library's own reader maps the file, and every page it touches then counts as this process's
memory; a plain read keeps no more than one chunk. The layout is 8 bytes of little-endian header
length, a JSON header with types, shapes and offsets, and the data.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mascot_jax.base.json_text import as_count, parse_json
from mascot_jax.errors import DataError

CHUNK = 1 << 20
"""Values per read."""
_LENGTH_BYTES = 8
_MOST_BYTES = 2**62
_DTYPES: dict[str, np.dtype[Any]] = {
    "U8": np.dtype("u1"),
    "U32": np.dtype("<u4"),
    "F32": np.dtype("<f4"),
}


@dataclass(frozen=True)
class Column:
    """Where a tensor lies: its type, its number of values, the file offset of the first."""

    dtype: np.dtype[Any]
    size: int
    offset: int


@dataclass(frozen=True)
class ColumnFile:
    """The header of a safetensors file whose tensors have one dimension."""

    path: Path
    metadata: Mapping[str, str]
    columns: Mapping[str, Column]

    def chunks(self, name: str) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """Yield a column's values in order, at most ``CHUNK`` at a time, each with its position."""
        column = self.columns[name]
        with self.path.open("rb", buffering=0) as file:
            file.seek(column.offset)
            for start in range(0, column.size, CHUNK):
                size = min(CHUNK, column.size - start)
                values = np.fromfile(file, dtype=column.dtype, count=size)
                if values.size != size:
                    raise DataError(f"{self.path} became shorter while it was read: make it again")
                yield start, values


def open_columns(path: str | os.PathLike[str]) -> ColumnFile:
    """Read and check the header.

    Raises
    ------
    DataError
        Not a safetensors file of one-dimensional tensors, or cut short.
    FileNotFoundError
        There is no such file.
    """
    path = Path(path)
    length = path.stat().st_size
    with path.open("rb") as file:
        header_size = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        start = _LENGTH_BYTES + header_size
        if not _LENGTH_BYTES < start <= length:
            raise DataError(
                f"{path} is not a safetensors file, or is cut short: it has {length} bytes, its "
                f"header should end at byte {start}; make it again"
            )
        text = file.read(header_size)
    try:
        header = parse_json(text)
        metadata = header.pop("__metadata__", {})
        columns = {name: _read_column(entry, start) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} has no readable safetensors header ({error}): make it again"
        ) from error
    end = max((c.offset + c.size * c.dtype.itemsize for c in columns.values()), default=start)
    if end != length:
        raise DataError(
            f"{path} has {length} bytes, expected {end}: it was cut or altered, make it again"
        )
    return ColumnFile(path, metadata, columns)


def _read_column(entry: dict[str, Any], start: int) -> Column:
    first, last = (as_count(offset, 0, _MOST_BYTES) for offset in entry["data_offsets"])
    (size,) = (as_count(size, 0, _MOST_BYTES) for size in entry["shape"])
    dtype = _DTYPES[entry["dtype"]]
    if last - first != size * dtype.itemsize:
        raise ValueError("offsets and shape disagree")
    return Column(dtype, size, start + first)
