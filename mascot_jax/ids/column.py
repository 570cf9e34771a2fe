"""One column of a table, read part by part, so that no conversion is ever as large as the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from numpy.typing import NDArray

from mascot_jax.base.arrays import parts

ROWS_AT_A_TIME: Final = 1 << 20
"""Bounds the memory of a conversion: 8 MiB for each 8 bytes of a row."""


@dataclass(frozen=True)
class Column:
    """A column of ``size`` rows.

    Attributes
    ----------
    name
        What messages call it.
    size
        Rows.
    read
        Takes a slice of the rows and returns an array ``(rows,)`` of any type, which may be a view.
    """

    name: str
    size: int
    read: Callable[[slice], NDArray[Any]]

    def parts(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield all rows in order, at most ``ROWS_AT_A_TIME`` of them at a time."""
        for part in parts(self.size, ROWS_AT_A_TIME):
            yield part, self.read(part)
