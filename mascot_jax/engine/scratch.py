"""Columns of ratings in a file, for ratings that memory does not hold.

The file has no name: nobody can alter, cut or mistake it, and the system removes it with the
process, however that ends. So it needs no header, and nothing is left behind.
"""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import aligned_zeros
from mascot_jax.base.files import local_path, saving
from mascot_jax.errors import DataError

Arrays = tuple[NDArray[Any], ...]
DIVIDED_AT_A_TIME: Final = 1 << 22
"""Ratings that are divided among parts of a file at a time: 48 MiB, and as much again."""
RATINGS: Final = (np.dtype(np.uint32), np.dtype(np.uint32), np.dtype(np.float32))
"""Users, items and ratings."""


class ScratchFolder:
    """Folder for files without a name.

    Parameters
    ----------
    path
        The folder; it is made if there is none.
    on_write
        Called after a write with the bytes written so far, and those expected in all.
    """

    def __init__(
        self, path: str | os.PathLike[str], on_write: Callable[[int, int], None] | None = None
    ) -> None:
        self.path = local_path(path)
        self.expected = 0
        """Bytes that will be written, for ``on_write``."""
        self._on_write, self._written = on_write, 0

    def __str__(self) -> str:
        return str(self.path)

    def note(self, written: int) -> None:
        """Take note of so many bytes written."""
        self._written += written
        if self._on_write is not None:
            self._on_write(self._written, self.expected)


class Scratch:
    """Columns of equal length in a file without a name.

    Parameters
    ----------
    folder
        Where the file lies.
    count
        Entries of each column, at least 1.
    dtypes
        Of the columns.

    Raises
    ------
    SaveError
        There is no room for the file, which is taken at once, or the folder cannot be written.
    """

    def __init__(
        self, folder: ScratchFolder, count: int, dtypes: Sequence[np.dtype[Any]] = RATINGS
    ) -> None:
        self.folder = folder
        self._dtypes = tuple(dtypes)
        self._starts = np.cumsum([0, *(count * dtype.itemsize for dtype in dtypes)]).tolist()
        self._count = count
        with saving(folder.path):
            folder.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder.path) as file:
                self._handle = os.dup(file.fileno())
            weakref.finalize(self, os.close, self._handle)
            _reserve(self._handle, self.size)

    def __len__(self) -> int:
        return self._count

    @property
    def size(self) -> int:
        """Bytes of the file."""
        size: int = self._starts[-1]
        return size

    def fileno(self) -> int:
        """Return the file's descriptor."""
        return self._handle

    def columns(self) -> Arrays:
        """Return the columns as arrays ``(n,)``: memory maps, quick where used in their order."""
        memory = mmap.mmap(self._handle, self.size)
        return tuple(
            np.frombuffer(memory, dtype, len(self), start)
            for dtype, start in zip(self._dtypes, self._starts, strict=False)
        )

    def ratings(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.float32]]:
        """Return ``columns`` of ratings."""
        users, items, ratings = self.columns()
        return users, items, ratings

    def write(self, column: int, first: int, values: NDArray[Any]) -> None:
        """Write values of a column, from entry ``first`` on.

        Raises
        ------
        SaveError
            They cannot be written.
        """
        assert values.dtype == self._dtypes[column]
        data, at = _bytes(np.ascontiguousarray(values)), self._place(column, first)
        with saving(self.folder.path):
            while data:
                done = os.pwrite(self._handle, data, at)
                data, at = data[done:], at + done
        self.folder.note(values.nbytes)

    def read(self, column: int, first: int, out: NDArray[Any]) -> None:
        """Fill ``out`` with the values of a column, from entry ``first`` on.

        Raises
        ------
        DataError
            They cannot be read.
        """
        assert out.dtype == self._dtypes[column]
        data, at = _bytes(out), self._place(column, first)
        while data:
            try:
                done = os.preadv(self._handle, [data], at)
            except OSError as error:
                raise DataError(
                    f"{self.folder}: ratings there cannot be read again: {error.strerror}: see "
                    "whether its disk works"
                ) from error
            if not done:
                raise DataError(f"{self.folder}: a file of ratings there has been cut: start again")
            data, at = data[done:], at + done

    def _place(self, column: int, first: int) -> int:
        place: int = self._starts[column] + first * self._dtypes[column].itemsize
        return place


def _bytes(values: NDArray[Any]) -> memoryview:
    return values.view(np.uint8).data


class InMemory:
    """Columns in memory that are read and written as those of ``Scratch``."""

    def __init__(self, *columns: NDArray[Any]) -> None:
        self._columns = columns

    def write(self, column: int, first: int, values: NDArray[Any]) -> None:
        """Write values of a column, from entry ``first`` on."""
        self._columns[column][first : first + len(values)] = values

    def read(self, column: int, first: int, out: NDArray[Any]) -> None:
        """Fill ``out`` with the values of a column, from entry ``first`` on."""
        out[:] = self._columns[column][first : first + len(out)]

    def columns(self) -> Arrays:
        """Return the columns."""
        return self._columns


def divide(
    rows: Iterable[tuple[NDArray[np.unsignedinteger[Any]], Arrays]],
    counts: NDArray[np.int64],
    to: Scratch | InMemory,
) -> None:
    """Write rows to the part of a store that each belongs to, where they keep their order.

    Parameters
    ----------
    rows
        Some rows at a time: the part of each, and their columns.
    counts
        int64 ``(parts,)``: rows of each part; parts follow each other.
    to
        The store.
    """
    place = np.cumsum(counts) - counts
    for part_of, columns in rows:
        order = np.argsort(part_of, kind="stable")
        here = np.bincount(part_of, minlength=len(counts))
        ends, present = np.cumsum(here), np.flatnonzero(here).tolist()
        for number, column in enumerate(columns):
            values = column[order]
            for a in present:
                to.write(number, int(place[a]), values[ends[a] - here[a] : ends[a]])
        place += here


def _reserve(handle: int, size: int) -> None:
    """Take the room of a file now, so that a full disk is found before hours of work."""
    try:
        os.posix_fallocate(handle, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            raise
        os.truncate(handle, size)  # a file system that cannot


class Piece(NamedTuple):
    """Blocks of a part of a list, in memory until the next piece is asked for."""

    columns: Arrays
    """Users, items and ratings, ``(places,)``: block after block by their numbers."""
    begin: NDArray[np.uint32]
    """``(blocks,)``: place of each block's first rating; blocks that are not here are empty."""
    ratings: int
    """How many there are."""
    span: tuple[int, int]
    """First place of the part in the list, and the one behind it."""


class ReadAhead:
    """Reads blocks in the order of a list, while those before are worked on.

    Parameters
    ----------
    scratch
        Users, items and ratings, sorted by block.
    begin
        int64 ``(blocks + 1,)``: number of each block's first rating, then of all ratings.
    places
        Most ratings of a piece, at least those of the largest block; two pieces are in memory.
    """

    def __init__(self, scratch: Scratch, begin: NDArray[np.int64], places: int) -> None:
        self._scratch, self._begin, self._counts = scratch, begin, np.diff(begin)
        self._buffers = [
            tuple(aligned_zeros((places,), dtype) for dtype in RATINGS) for _ in range(2)
        ]
        self._places = places

    def pieces(self, blocks: NDArray[np.int64]) -> Iterator[Piece]:
        """Yield the blocks of a list, piece by piece; one piece ends where the next is asked for.

        Raises
        ------
        DataError
            The file cannot be read.
        """
        ends = cut(self._counts[blocks], self._places)
        spans = list(zip([0, *ends[:-1]], ends, strict=True))
        with ThreadPoolExecutor(len(RATINGS)) as readers:
            reading = self._begin_reading(readers, blocks[slice(*spans[0])], 0)
            for number, span in enumerate(spans):
                for column in reading:
                    column.result()
                begin, count = self._layout(blocks[slice(*span)])
                if number + 1 < len(spans):
                    following = blocks[slice(*spans[number + 1])]
                    reading = self._begin_reading(readers, following, number + 1)
                yield Piece(self._buffers[number % 2], begin, count, span)

    def _layout(self, blocks: NDArray[np.int64]) -> tuple[NDArray[np.uint32], int]:
        here = np.zeros_like(self._counts)
        here[blocks] = self._counts[blocks]
        ends = np.cumsum(here)
        return (ends - here).astype(np.uint32), int(ends[-1])

    def _begin_reading(
        self, readers: ThreadPoolExecutor, blocks: NDArray[np.int64], number: int
    ) -> list[Future[None]]:
        begin, _ = self._layout(blocks)
        buffers = self._buffers[number % 2]
        return [
            readers.submit(self._read, column, np.sort(blocks), begin, buffers[column])
            for column in range(len(RATINGS))
        ]

    def _read(
        self,
        column: int,
        blocks: NDArray[np.int64],
        begin: NDArray[np.uint32],
        out: NDArray[Any],
    ) -> None:
        for block in blocks.tolist():
            count, first = int(self._counts[block]), int(begin[block])
            self._scratch.read(column, int(self._begin[block]), out[first : first + count])


def cut(counts: NDArray[np.int64], most: int) -> list[int]:
    """Return where pieces of a list end, each with as many blocks as ``most`` ratings allow.

    ``counts`` is int64 ``(n,)``: ratings of each block, none above ``most``; n is at least 1.
    """
    total, ends = np.cumsum(counts), [0]
    while ends[-1] < len(counts):
        before = int(total[ends[-1] - 1]) if ends[-1] else 0
        ends.append(int(np.searchsorted(total, before + most, side="right")))
    return ends[1:]
