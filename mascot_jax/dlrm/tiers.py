"""Which rows of the fields' tables are visited often, and the numbers that all rows have.

Rows are numbered over all fields: first the wide ones, visited often, field by field, then the
others. Where a field's wide rows are its first ones, as they are if ids are sorted by their counts,
their number tells the numbers of all. Else it follows from one bit a row and the wide rows before
every 64th one. A table of numbers would be half as large as a table in INT4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

WORD: Final = 64
"""Rows whose bits make up a word."""
_NO_WORDS: Final = np.zeros(0, np.uint64)


@dataclass(frozen=True, eq=False)
class Tiers:
    """The wide rows of every field.

    Attributes
    ----------
    cardinalities : tuple of int
        Rows of each field.
    words : tuple of uint64 [ceil(rows / 64)]
        Bit r % 64 of word r // 64 tells whether row r of the field is wide. Empty for a field whose
        wide rows are its first ones.
    wide : tuple of int
        Number of wide rows of each field.
    """

    cardinalities: tuple[int, ...]
    words: tuple[NDArray[np.uint64], ...]
    wide: tuple[int, ...]

    @classmethod
    def of(cls, masks: Sequence[NDArray[np.bool_]]) -> Tiers:
        """Return the tiers of masks ``(rows,)`` of each field's wide rows."""
        wide = tuple(int(mask.sum()) for mask in masks)
        words = tuple(
            _NO_WORDS if mask[:count].all() else _words(mask)
            for mask, count in zip(masks, wide, strict=True)
        )
        return cls(tuple(len(mask) for mask in masks), words, wide)

    @classmethod
    def first(cls, cardinalities: Sequence[int], wide: Sequence[int]) -> Tiers:
        """Return the tiers of fields whose first rows, so many of each, are wide."""
        return cls(tuple(cardinalities), (_NO_WORDS,) * len(cardinalities), tuple(wide))

    @property
    def fields(self) -> int:
        """Number of fields."""
        return len(self.cardinalities)

    @property
    def rows(self) -> int:
        """Number of rows of all fields."""
        return sum(self.cardinalities)

    @property
    def wide_rows(self) -> int:
        """Number of wide rows of all fields."""
        return sum(self.wide)

    @property
    def nbytes(self) -> int:
        """Bytes of what tells the numbers of rows."""
        return sum(words.nbytes for words in self.words) + sum(r.nbytes for r in self._ranks)

    @cached_property
    def _ranks(self) -> tuple[NDArray[np.uint32], ...]:
        """Of each field, the number of wide rows before each word's."""
        return tuple(
            np.cumsum(np.bitwise_count(words), dtype=np.uint32) - np.bitwise_count(words)
            for words in self.words
        )

    @cached_property
    def starts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """int64 ``(f,)`` each: numbers of each field's first wide and first other row."""
        wide = np.array(self.wide, np.int64)
        others = np.array(self.cardinalities, np.int64) - wide
        return np.cumsum(wide) - wide, wide.sum() + np.cumsum(others) - others

    def mask(self, field: int) -> NDArray[np.bool_]:
        """Return which rows of a field are wide, ``(rows,)``."""
        rows = self.cardinalities[field]
        if not self.words[field].size:
            return np.arange(rows) < self.wide[field]
        bits = np.unpackbits(self.words[field].astype("<u8").view(np.uint8), bitorder="little")
        return bits[:rows].astype(np.bool_)

    def numbers(self, categories: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Return the numbers of rows of each field, both uint32 ``(n, f)``.

        Rows must be below the fields' cardinalities, as ``ClickData`` has checked.
        """
        numbers = np.empty(categories.shape, np.uint32)
        for field in range(self.fields):
            numbers[:, field] = self.numbers_of(field, categories[:, field])
        return numbers

    def numbers_of(self, field: int, rows: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Return the numbers of rows of one field, both uint32 ``(n,)``."""
        wide_start, other_start = (int(starts[field]) for starts in self.starts)
        words = self.words[field]
        if not words.size:
            count = self.wide[field]
            # Modulo 2^32: a field may begin before its wide rows' number.
            others = rows + np.uint32((other_start - count) % 2**32)
            return np.where(rows < count, rows + np.uint32(wide_start), others)
        place = rows // np.uint32(WORD)
        bit = (rows % np.uint32(WORD)).astype(np.uint64)
        shifted = words[place] << (np.uint64(WORD - 1) - bit)
        is_wide = shifted >> np.uint64(WORD - 1) != 0
        # The row's own bit, now the highest, counts itself.
        before = self._ranks[field][place] + np.bitwise_count(shifted) - is_wide
        others = rows - before + np.uint32(other_start)
        numbers: NDArray[np.uint32] = np.where(is_wide, before + np.uint32(wide_start), others)
        return numbers


def _words(mask: NDArray[np.bool_]) -> NDArray[np.uint64]:
    padded = np.pad(mask, (0, -len(mask) % WORD))
    return np.packbits(padded, bitorder="little").view("<u8").astype(np.uint64)
