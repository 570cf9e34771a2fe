"""What a benchmark is held to: the time that it may take, and its figures."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Clock:
    """Says whether there is time for more, and keeps what there was none for."""

    def __init__(self, seconds: float) -> None:
        self._end = time.perf_counter() + seconds
        self.left_out: list[str] = []

    def allows(self, what: str, seconds: float) -> bool:
        """Return whether this much time is left; if not, ``what`` is left out."""
        if time.perf_counter() + seconds <= self._end:
            return True
        self.left_out.append(what)
        sys.stdout.write(f"left out for lack of time: {what}\n")
        return False


class Target(NamedTuple):
    """A figure and what it must keep to."""

    name: str
    value: float
    bound: float
    at_most: bool = True

    @property
    def met(self) -> bool:
        """Whether it does."""
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    def report(self) -> dict[str, Any]:
        """Print a line; return it for JSON."""
        side, verdict = "most" if self.at_most else "least", "met" if self.met else "MISSED"
        sys.stdout.write(f"  {self.name:44}{self.value:10.4g}, at {side} {self.bound}: {verdict}\n")
        return {**self._asdict(), "met": self.met}


def exit_if_missed(reports: Iterable[Mapping[str, Any]]) -> None:
    """Leave with status 1 if one of these targets was missed."""
    if not all(report["met"] for report in reports):
        raise SystemExit(1)
