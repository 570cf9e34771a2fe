"""Read one-dimensional safetensors tensors in chunks, with plain reads.

The safetensors library maps the file, and every page read then counts as this process's memory.
A plain read holds one chunk. File layout: 8 bytes of little-endian header length, a JSON header
with dtypes, shapes and offsets, and the data.
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
class Extent:
    """Position of a tensor: dtype, number of values, and file offset of the first in bytes."""

    dtype: np.dtype[Any]
    size: int
    offset: int


@dataclass(frozen=True)
class ColumnFile:
    """Header of a safetensors file whose tensors have one dimension."""

    path: Path
    metadata: Mapping[str, str]
    columns: Mapping[str, Extent]

    def chunks(self, name: str) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """Yield each chunk of a column in order: its start, and at most ``CHUNK`` values."""
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
    """Read and check the header of a safetensors file.

    Raises
    ------
    DataError
        The file is cut short, or not a safetensors file of one-dimensional tensors.
    FileNotFoundError
        The file does not exist.
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


def _read_column(entry: dict[str, Any], start: int) -> Extent:
    first, last = (as_count(offset, 0, _MOST_BYTES) for offset in entry["data_offsets"])
    (size,) = (as_count(size, 0, _MOST_BYTES) for size in entry["shape"])
    dtype = _DTYPES[entry["dtype"]]
    if last - first != size * dtype.itemsize:
        raise ValueError("offsets and shape disagree")
    return Extent(dtype, size, start + first)
