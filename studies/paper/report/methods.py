"""What methods are called in the report, and what a variant of one is."""

from __future__ import annotations

from typing import Final, NamedTuple

from studies.paper.report.results import Row

NAMES: Final = {
    "fp32": "FP32",
    "half": "FP16",
    "fp16": "MASCOT-N1",
    "mascot-n1": "MASCOT-N1",
    "mascot-n2": "MASCOT-N2",
    "mascot": "MASCOT",
    "mpt": "MPT",
    "muppet": "MuPPET",
    "afp": "AFP",
    "int8": "INT8",
    "mascot-int8": "MASCOT-INT8",
}
"""As the paper has them, where it does; in the order of legends and rows."""

COMPARATORS: Final = ("mpt", "muppet", "afp")
"""The methods that quantise the computation only."""


class Variant(NamedTuple):
    """A method, and in what it differs from its preset."""

    method: str
    stochastic: bool = False
    runs: bool = False
    lost_update: bool = False

    @property
    def label(self) -> str:
        """Return its name."""
        extras = (
            ("stochastic", self.stochastic),
            ("in runs", self.runs),
            ("lost-update", self.lost_update),
        )
        said = [word for word, there in extras if there]
        # What N1 means is all FP16 rounded to nearest.
        name = "FP16 storage" if self.stochastic and self.method == "fp16" else name_of(self.method)
        return ", ".join([name, *said])


def name_of(method: str) -> str:
    """Return a method's name as the report prints it."""
    return NAMES.get(method, method)


def variant(row: Row) -> Variant:
    """Return what a row of ``beyond.json`` or Fig. 8 is about, by its settings, else its name."""
    settings = row.get("settings") or {}
    text = str(row.get("name") or row["method"])
    method = settings.get("method") or row.get("method") or text.replace(",", " ").split()[0]
    method = "fp16" if method == "mascot-n1" else method
    own = ("int8", "mascot-int8")  # whose preset is stochastic
    return Variant(
        method,
        stochastic=method not in own
        and (settings.get("rounding") == "stochastic" or "stochastic" in text),
        runs=settings.get("order") == "runs" or "runs" in text,
        lost_update=method not in own
        and (settings.get("criterion") == "lost-update" or "lost-update" in text),
    )
