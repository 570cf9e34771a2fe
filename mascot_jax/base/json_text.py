"""Parse and check JSON from files that others may have written."""

from __future__ import annotations

import json
import math
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """Parse JSON text.

    Raises
    ------
    ValueError
        The text is not JSON, not UTF-8, or nested too deeply for Python.
    TypeError
        ``text`` is neither str nor bytes.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply") from error


def as_count(value: object, low: int, high: int) -> int:
    """Return ``value``, or raise a ValueError unless it is an integer from ``low`` to ``high``."""
    # Refuse true, which is an int to Python, and 3.0, which equals 3.
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{value!r:.40} is not a whole number from {low} to {high}")
    return value


def as_number(value: object) -> float:
    """Return ``value`` as a float, or raise a ValueError unless it is a finite number."""
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) is int and abs(value) < 2**53:
        return float(value)
    raise ValueError(f"{value!r:.40} is not a finite number")
