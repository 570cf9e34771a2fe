"""The DVC stages: thin modules that read inputs, call mascot_jax and write outputs.

A stage runs as ``python -m pipeline.<stage> [fold]``. What the user can put right ends it with one
line and exit status 2. That is arranged here, as this runs before the stage's own imports, which
fail where the native module is missing or was built for another jaxlib.
"""

from __future__ import annotations

import sys
from types import TracebackType

from mascot_jax.errors import MascotError

BAD_INPUT = 2
"""Exit status for anything that the user can put right."""


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print what the user can put right, a missing file or full disk included, in one line."""
    if not issubclass(kind, MascotError | OSError):
        sys.__excepthook__(kind, error, trace)
        return
    sys.stderr.writelines(f"error: {line}\n" for line in str(error).splitlines())
    raise SystemExit(BAD_INPUT)


if (
    sys.argv[0] == "-m"
):  # Python is about to run one of these modules; importing them changes nothing
    sys.excepthook = _report
