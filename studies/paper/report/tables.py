"""A table of what was measured, the paper's values beside it, in Markdown."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from studies.paper.report.results import Rows, Shown

TITLES: Final = {
    "data": "Data", "method": "Method", "variant": "Variant", "name": "Variant", "factors": "k",
    "groups": "Groups a side", "lookup": "Lookup", "side": "Side", "quartile": "Quartile",
    "half_share": "Rows in FP16", "period": "Period π", "sample_ratio": "Sample ratio γ",
    "quantity": "Quantity", "share": "Rows, most-rated first", "epoch": "Epoch, from 0",
    "users": "Users", "items": "Items", "ratings": "Ratings", "sparsity": "Sparsity",
    "seconds": "Seconds", "relative_time": "Relative time", "over_n1": "Time to N1's",
    "rmse": "Test RMSE", "loss": "RMSE less FP32's", "relative_bytes": "Relative bytes",
    "gradient": "Gradient", "last": "Gradient, last epoch", "switched": "Precision",
    "relative_error": "RMSE over FP32's", "whole_rmse": "RMSE with all components",
    "visited": "Components visited",
    "difference": "Difference", "p_value": "p", "significant": "Significant",
}  # fmt: skip
"""Of columns and axes."""

NAMES: Final = {
    "fp32": "FP32", "half": "FP16", "fp16": "MASCOT-N1", "mascot-n1": "MASCOT-N1",
    "mascot-n2": "MASCOT-N2", "mascot": "MASCOT", "mpt": "MPT", "muppet": "MuPPET", "afp": "AFP",
    "int8": "INT8", "mascot-int8": "MASCOT-INT8", "fp16 (N1)": "MASCOT-N1",
    "fp32 runs": "FP32 in runs", "fp16 stochastic": "FP16 stochastic",
    "fp16 stochastic in runs": "FP16 stochastic in runs",
    "mascot with lost-update": "MASCOT with lost-update",
    "early-exit": "Early exit", "project": "Projection", "uniform": "Fewer from the start",
}  # fmt: skip
"""Of methods, as the paper has them, where it does."""

_FORMATS: Final = {
    "rmse": ".4f", "loss": "+.4f", "relative_time": ".3f", "relative_bytes": ".3f",
    "whole_rmse": ".4f", "relative_error": ".3f", "visited": ".3f",
    "over_n1": ".3f", "sparsity": ".2%", "half_share": ".0%", "sample_ratio": ".0%",
    "p_value": ".4f", "users": ",", "items": ",", "ratings": ",",
}  # fmt: skip
"""Other numbers have three digits."""
_PAPERS_FORMATS: Final = {"rmse": ".4f", "seconds": ".2f"}


def table(shown: Shown, rows: Rows) -> str:
    """Return a table, without the columns that have nothing in them."""
    columns = [
        [TITLES[name], ":---", *(show(name, row[name]) for row in rows)]
        for name in ("data", *shown.names)
    ]
    for field in shown.fields:
        columns.append([TITLES[field], "---:", *(show(field, row[field]) for row in rows)])
        theirs = (_published(field, row["paper"][field]) for row in rows)
        columns.append([f"Paper: {TITLES[field]}", "---:", *theirs])
    lines = zip(*(column for column in columns if any(column[2:])), strict=True)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _published(field: str, value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return format(value, _PAPERS_FORMATS.get(field, "g"))


def show(field: str, value: Any) -> str:
    """Print a value; of a measured quantity, the mean ± half the width of its interval."""
    if isinstance(value, dict):
        form = _format(field, value["mean"])
        mean = _number(form, value["mean"])
        if value["low"] is None:
            return mean
        return f"{mean} ± {_number(form.lstrip('+'), (value['high'] - value['low']) / 2)}"
    if value is None or isinstance(value, bool):
        return {None: "–", True: "yes", False: "no"}[value]
    if isinstance(value, str):
        return re.sub(r"([\\|<>*_`\[\]])", r"\\\1", NAMES.get(value, value))
    if field == "p_value" and value < 0.0001:
        return r"\< 0.0001"
    return _number(_format(field, value), value)


def _format(field: str, value: float) -> str:
    if field in _FORMATS or isinstance(value, int):
        return _FORMATS.get(field, "d")
    digits = 2 - math.floor(math.log10(abs(value))) if 0 < abs(value) < 100 else 0
    return f"{'+' if field == 'difference' else ''}.{digits}f"


def _number(form: str, value: float) -> str:
    if not math.isfinite(value):
        return "not finite"
    text = format(value, form)
    if not text.strip("+-0.%"):
        text = text.lstrip("+-")  # neither +0 nor -0
    return text.replace("-", "−").replace("%", " %")
