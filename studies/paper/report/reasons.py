"""Why a result may differ from the paper's, said no more surely than it is known.

What holds of a CPU whose cache has room for both tables was measured apart from this study, on
other machines (``docs/decisions.md``): here, it is likely.
"""

from __future__ import annotations

from typing import Final

from studies.paper.report.results import Results, pick

CACHED: Final = 32 * 2**20
"""Bytes of FP32 tables that a server processor's caches are likely to hold."""
UNKNOWN: Final = "Why it differs cannot be told from these data."


class Reasons:
    """Reasons by what was run, on which hardware."""

    def __init__(self, results: Results) -> None:
        self._results = results
        backends = {file.hardware.get("backend") for file in results.files.values()}
        self._on_cpu = backends == {"cpu"}

    def table_bytes(self, data: str, factors: int) -> int | None:
        """Return the bytes of both tables in FP32; None where Table I has not been run."""
        row = pick(self._results.rows("table1"), data=data)
        return None if row is None else int(row["users"] + row["items"]) * 4 * factors

    def no_time_saved(self, data: str, factors: int) -> str:
        """Say why FP16 storage saves no time."""
        size = self.table_bytes(data, factors)
        if not self._on_cpu or size is None or size > CACHED:
            return UNKNOWN
        return (
            f"Likely because this was run on a CPU: both tables of {data} take {size / 2**20:.2g} "
            f"MiB in FP32 at k = {factors} and fit its cache, where converting FP16 numbers costs "
            f"more than the loads it saves (measured on other machines, docs/decisions.md); the "
            f"paper's tables are read from a GPU's memory."
        )

    def comparator_fast(self) -> str:
        """Say why a method that stores FP32 would save time."""
        return (
            "The comparators move as many bytes as FP32, so that what they save lies in the "
            "computation; in which part of it cannot be told from these data."
        )

    def comparators_exact(self) -> str:
        """Say why methods that store FP32 are more exact."""
        return (
            "Likely because the comparators store FP32 and quantise the computation only, which "
            "loses no small update, while FP16 rounded to nearest at the store does; they save no "
            "bytes for it."
        )

    def rounding(self) -> str:
        """Say why MASCOT's error is not comparable."""
        return (
            "Likely because updates below half an ulp of FP16 are lost at the store until a group "
            "switches."
        )

    def no_lookup_saved(self, data: str) -> str:
        """Say why searching groups saves nothing over a row's own metadata."""
        row = pick(self._results.rows("table1"), data=data)
        if not self._on_cpu or row is None:
            return UNKNOWN
        rows = int(row["users"] + row["items"])
        return (
            f"Likely because this was run on a CPU, whose cache holds the metadata of all {rows:,} "
            f"rows of {data}, so that reading them costs less than a search of the groups."
        )

    def sampling(self) -> str:
        """Say why measuring less saves no time."""
        return UNKNOWN
