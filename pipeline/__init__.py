"""DVC stages: thin modules that read inputs, call mascot_jax and write outputs.

A stage runs as ``python -m pipeline.<stage> [fold]``. An error that the user can fix ends the stage
with one line and exit status 2. The hook is set here, before the stage's own imports, which fail if
the native module is missing or was built for another jaxlib.
"""

from __future__ import annotations

import sys
from types import TracebackType

from mascot_jax.errors import MascotError

BAD_INPUT = 2
"""Exit status for errors that the user can fix."""


def exit_code(error: BaseException) -> int:
    """Return the exit status of a stage that ends by an error."""
    return BAD_INPUT if isinstance(error, MascotError | OSError) else 1


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print errors that the user can fix, such as a missing file or a full disk, in one line."""
    if exit_code(error) != BAD_INPUT:
        sys.__excepthook__(kind, error, trace)
        return
    sys.stderr.writelines(f"error: {line}\n" for line in str(error).splitlines())
    raise SystemExit(BAD_INPUT)


# Only if Python is about to run one of these modules; importing them changes nothing.
if sys.argv[0] == "-m":
    sys.excepthook = _report
