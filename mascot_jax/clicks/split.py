"""Divide rows into those to train on, to validate with and to test on."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import random_order
from mascot_jax.errors import DataError


def divide(
    rows: int, validation: float, test: float, order: Literal["file", "random"], seed: int
) -> NDArray[np.uint8]:
    """Return the part of each row, uint8 ``(rows,)``: 0 to train on, 1 to validate, 2 to test.

    Parameters
    ----------
    rows
        Number of rows.
    validation, test
        Shares of the rows, rounded to whole rows, at least one if not 0.
    order
        ``file``: the last rows are for the test, those before for the validation; ``random``.
    seed
        Fixes the random order.

    Raises
    ------
    DataError
        There are too few rows.
    """
    sizes = [max(1, round(rows * share)) if share else 0 for share in (validation, test)]
    if sum(sizes) >= rows:
        raise DataError(
            f"{rows} rows are too few: encode.validation {validation} and encode.test {test} leave "
            "none to train on"
        )
    parts = np.repeat(np.array([0, 1, 2], np.uint8), [rows - sum(sizes), *sizes])
    if order == "file":
        return parts
    shuffled = np.empty_like(parts)
    shuffled[random_order(rows, seed)] = parts
    return shuffled
