"""Memory of this process, as Linux counts it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

STATUS: Final = Path("/proc/self/status")


def memory(name: str) -> int:
    """Return bytes of this process: ``VmHWM`` (its peak), ``VmRSS`` or ``RssAnon`` (now).

    ``getrusage`` is no help in a child: its peak begins with that of the parent.
    """
    lines = STATUS.read_text(encoding="ascii").splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
