"""JSON out of files that somebody else may have written."""

from __future__ import annotations

import json
import math
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """Return what JSON text says.

    Raises
    ------
    ValueError
        It is no JSON, no UTF-8, or nested deeper than Python can follow.
    TypeError
        It is no text.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply") from error


def as_count(value: object, low: int, high: int) -> int:
    """Return a whole number from ``low`` to ``high``, or raise ValueError."""
    # A bool is an int to Python, and 3.0 equals 3, but neither is what was written.
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{value!r:.40} is not a whole number from {low} to {high}")
    return value


def as_number(value: object) -> float:
    """Return a finite number, or raise ValueError."""
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) is int and abs(value) < 2**53:
        return float(value)
    raise ValueError(f"{value!r:.40} is not a finite number")
