"""The entry point: parse, run the subcommand, and turn errors into a line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from mascot_jax.command.output import warn
from mascot_jax.command.parser import make_parser
from mascot_jax.errors import MascotError, SettingsError

FAILED = 1
USAGE = 2
INTERRUPTED = 130
"""As a shell reports a program that SIGINT ended."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv
        Arguments; None takes the process's.

    Returns
    -------
    int
        The exit code, as ``mascot --help`` lists them.

    Raises
    ------
    SystemExit
        With 2 if the command line is wrong, with 0 after help.
    """
    args = make_parser().parse_args(argv)
    try:
        # Its imports, JAX among them, come only now.
        code: int = import_module(f"mascot_jax.command.{args.command}").run(args)
        sys.stdout.flush()
    except MascotError as error:
        warn(_in_options(error))
        return USAGE if isinstance(error, SettingsError) else FAILED
    except BrokenPipeError:
        # Whoever read our output has enough; what Python still wants to flush goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        warn(str(error))
        return FAILED
    except KeyboardInterrupt:
        warn("interrupted")
        return INTERRUPTED
    return code


def _in_options(error: MascotError) -> str:
    from mascot_jax.command.options import in_options  # whose imports help must not wait for

    return in_options(str(error))
