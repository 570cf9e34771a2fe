"""Memory of this process, as Linux counts it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

STATUS: Final = Path("/proc/self/status")
MOMENT: Final = 0.02
"""Seconds between two looks at the memory in use."""


def memory(name: str) -> int:
    """Return bytes of this process: ``VmHWM`` (its peak), ``VmRSS`` or ``RssAnon`` (now).

    ``getrusage`` is no help in a child: its peak begins with that of the parent.
    """
    lines = STATUS.read_text(encoding="ascii").splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


class OwnMemory:
    """Looks at the memory of this process's own, without mapped files, while a block runs."""

    def __enter__(self) -> OwnMemory:
        self._peak, self._over = 0, threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def peak(self) -> int:
        """Return the most bytes since the last call, or since the block began."""
        peak, self._peak = max(self._peak, memory("RssAnon")), 0
        return peak

    def _look(self) -> None:
        while not self._over.wait(MOMENT):
            self._peak = max(self._peak, memory("RssAnon"))
