"""A column of a table, read in parts so that no conversion needs memory for all rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from numpy.typing import NDArray

from mascot_jax.base.arrays import parts

ROWS_AT_A_TIME: Final = 1 << 20
"""Bounds the memory of a conversion: 8 MiB per 8 bytes of a row."""


@dataclass(frozen=True)
class Column:
    """A column of ``size`` rows.

    Attributes
    ----------
    name
        Name in messages.
    size
        Number of rows.
    read
        Returns a slice of the rows as an array ``(rows,)`` of any dtype, which may be a view.
    """

    name: str
    size: int
    read: Callable[[slice], NDArray[Any]]

    def parts(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield slices of up to ``ROWS_AT_A_TIME`` rows, in order, each with its values."""
        for part in parts(self.size, ROWS_AT_A_TIME):
            yield part, self.read(part)


@dataclass(frozen=True)
class StreamedColumn:
    """A column that is read from its beginning only, as often as needed.

    Attributes
    ----------
    name, size
        As of ``Column``.
    pieces
        Yields the rows as arrays ``(rows,)`` of any dtype.
    """

    name: str
    size: int
    pieces: Callable[[], Iterator[NDArray[Any]]]

    def parts(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield slices of rows, in order, each with its values."""
        first = 0
        for values in self.pieces():
            yield slice(first, first + len(values)), values
            first += len(values)
