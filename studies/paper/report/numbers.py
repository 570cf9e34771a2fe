"""How numbers are printed: as many digits as are worth reading, the same everywhere."""

from __future__ import annotations

import math
from typing import Final

from studies.paper.report.results import Quantity

_DECIMALS: Final = {
    "rmse": 4,
    "loss": 4,
    "relative_time": 3,
    "relative_bytes": 3,
    "p_value": 4,
}
"""Of the others, three digits."""
_MINUS: Final = "\N{MINUS SIGN}"


def show(kind: str, value: float) -> str:
    """Print a number of a kind: ``rmse``, ``loss``, ``seconds``, ``ratings``, ...

    A loss has its sign; counts have commas; a sparsity is in per cent.
    """
    if not math.isfinite(value):
        return "not finite"
    if kind in ("users", "items", "ratings"):
        return f"{value:,.0f}"
    if kind == "sparsity":
        return f"{value:.2%}".replace("%", " %")
    digits = decimals(kind, value)
    if kind == "p_value" and value < 10**-digits:
        return f"< {10**-digits:.{digits}f}"
    rounded = round(value, digits) or 0.0  # no minus zero
    sign = "+" if kind == "loss" and rounded else ""
    return f"{rounded:{sign}.{digits}f}".replace("-", _MINUS)


def show_published(kind: str, value: float) -> str:
    """Print a number as the paper does."""
    digits = {"rmse": 4, "seconds": 2}
    if kind in digits:
        return f"{value:.{digits[kind]}f}"
    return show(kind, value) if kind in ("users", "items", "ratings", "sparsity") else f"{value:g}"


def show_quantity(kind: str, quantity: Quantity) -> str:
    """Print a quantity, with half the width of its interval where it has one."""
    text = show(kind, quantity.mean)
    low, high = quantity.interval
    if math.isinf(low) or math.isinf(high):
        return text
    return f"{text} ± {(high - low) / 2:.{decimals(kind, quantity.mean)}f}"


def decimals(kind: str, value: float) -> int:
    """Return how many digits follow the point."""
    if kind in _DECIMALS:
        return _DECIMALS[kind]
    return 2 - math.floor(math.log10(abs(value))) if 0 < abs(value) < 100 else 0
