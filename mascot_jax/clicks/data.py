"""Encoded click data: what a click model trains on and predicts for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts
from mascot_jax.errors import DataError

MOST_ROWS: Final = 2**32
"""Rows that a field's table may have: ids are uint32."""
SHARED_ROW: Final = 0
"""Row of each field's table that all its unseen and rare ids share."""


@dataclass(frozen=True, eq=False)
class ClickData:
    """Impressions, each with a label, counts and one id a field.

    Ids are checked when the object is made, so that none reaches a kernel unchecked.

    Attributes
    ----------
    labels : uint8 [n]
        1 for a click, 0 for none.
    dense : float32 [n, d]
        Numeric inputs, finite; `d` may be 0.
    categories : uint32 [n, f]
        Row of each field's own table. Row 0 is shared by the unseen and the rare ids.
    cardinalities : tuple of int
        Rows of each field's table, row 0 included.
    counts : tuple of int64 [cardinality]
        For each field, how often each row occurs in the training data.

    Raises
    ------
    DataError
        An array has another dtype or shape, a label is not 0 or 1, a numeric input is not finite,
        or an id is not below its field's cardinality; the message has field and row, from 0.
    """

    labels: NDArray[np.uint8]
    dense: NDArray[np.float32]
    categories: NDArray[np.uint32]
    cardinalities: tuple[int, ...]
    counts: tuple[NDArray[np.int64], ...]

    def __post_init__(self) -> None:
        n = len(self.labels) if np.ndim(self.labels) else 0
        _check_array("labels", self.labels, np.uint8, (n,))
        _check_array("dense", self.dense, np.float32, (n, None))
        _check_array("categories", self.categories, np.uint32, (n, len(self.cardinalities)))
        self._check_tables()
        self._check_rows()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def fields(self) -> int:
        """Number of categorical fields (f)."""
        return len(self.cardinalities)

    def take(self, rows: NDArray[np.integer[Any]] | slice) -> ClickData:
        """Return some of the rows; tables and counts stay those of the whole."""
        return replace(
            self,
            labels=self.labels[rows],
            dense=self.dense[rows],
            categories=self.categories[rows],
        )

    def _check_tables(self) -> None:
        if len(self.counts) != len(self.cardinalities):
            raise DataError(
                f"click data: counts of {len(self.counts)} fields, cardinalities of "
                f"{len(self.cardinalities)}: there must be one of each a field"
            )
        for field, (rows, counts) in enumerate(zip(self.cardinalities, self.counts, strict=True)):
            if not 1 <= rows <= MOST_ROWS:
                raise DataError(
                    f"click data: the table of field {field} has {rows} rows: must be from 1, the "
                    f"shared row, to {MOST_ROWS}"
                )
            _check_array(f"counts of field {field}", counts, np.int64, (rows,))
            if counts.min() < 0:
                raise DataError(
                    f"click data: row {int(counts.argmin())} of field {field} occurs "
                    f"{counts.min()} times: a count is not negative"
                )

    def _check_rows(self) -> None:
        limits = np.array(self.cardinalities, np.uint64)
        for part in parts(len(self), 1 << 16):
            bad = self.labels[part] > 1
            if bad.any():
                row = part.start + int(bad.argmax())
                raise DataError(
                    f"click data, row {row}: the label is {self.labels[row]}: must be 0 or 1"
                )
            self._check_dense(part)
            beyond = self.categories[part] >= limits
            if beyond.any():
                row, field = (int(i) for i in np.argwhere(beyond)[0])
                raise DataError(
                    f"click data, row {part.start + row}: id {self.categories[part][row, field]} "
                    f"of field {field} is beyond its cardinality, {self.cardinalities[field]}: "
                    "encode it with the encoder of the training data"
                )

    def _check_dense(self, part: slice) -> None:
        finite = np.isfinite(self.dense[part])
        if not finite.all():
            row, column = (int(i) for i in np.argwhere(~finite)[0])
            raise DataError(
                f"click data, row {part.start + row}: dense column {column} is "
                f"{self.dense[part][row, column]}: must be finite"
            )


def _check_array(name: str, array: Any, dtype: type, shape: tuple[int | None, ...]) -> None:
    """Refuse an array of another dtype or shape; None in ``shape`` is any length."""
    fits = (
        isinstance(array, np.ndarray)
        and array.dtype == dtype
        and array.ndim == len(shape)
        and all(want in (None, found) for want, found in zip(shape, array.shape, strict=True))
    )
    if not fits:
        found = (
            f"{array.dtype} {list(array.shape)}" if isinstance(array, np.ndarray) else type(array)
        )
        wanted = ", ".join("any" if length is None else str(length) for length in shape)
        raise DataError(f"click data: {name}: {found}: must be {np.dtype(dtype)} [{wanted}]")
