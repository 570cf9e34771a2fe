"""Hand a stage over to a launcher, which starts the processes that share its training.

How many there are changes no output on CPUs, so it is no parameter: the environment says it.
"""

from __future__ import annotations

import os
import shlex
import sys
from typing import Final

from mascot_jax.errors import SettingsError

VARIABLE: Final = "MASCOT_LAUNCHER"
"""Environment variable with the launcher and its arguments, as a shell has them."""


def hand_over(stage: str, fold: int) -> None:
    """Become the launcher of a stage's processes; return if the environment names none.

    The launcher takes the place of this process: signals reach it, and its exit status is the
    stage's.

    Raises
    ------
    SettingsError
        If it cannot be started.
    """
    value = os.environ.get(VARIABLE, "")
    try:
        launcher = shlex.split(value)
    except ValueError as error:
        raise SettingsError(
            f"{VARIABLE}: {value!r}: {error}: give a launcher with its arguments, as in a shell, "
            "such as 'srun -n 4'"
        ) from error
    if not launcher:
        return
    command = [*launcher, sys.executable, "-m", stage, str(fold), "--distributed"]
    try:
        os.execvp(command[0], command)
    except OSError as error:
        raise SettingsError(
            f"{VARIABLE}: {launcher[0]}: cannot be started ({error.strerror}): install it, name "
            "its path, or unset the variable to train in one process"
        ) from error
