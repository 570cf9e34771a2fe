"""Entry point: parse, run the subcommand, and turn errors into a message and an exit code."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

from mascot_jax.command.output import discard_output, warn
from mascot_jax.command.parser import make_parser
from mascot_jax.errors import MascotError, SettingsError

FAILED = 1
USAGE = 2
INTERRUPTED = 130
"""A shell's exit code for a program ended by SIGINT."""
UNREAD = 141
"""A shell's exit code for a program that wrote to a closed pipe."""


def run() -> int:
    """Run the command as a process; ``mascot`` starts here.

    Ctrl-C ends the process at once, without an exception. Python's default is an exception at any
    point, which breaks imports and other libraries' callbacks.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not if ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an id may hold what the encoding has not
            stream.reconfigure(errors="backslashreplace")
    return main()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv
        Arguments; None uses the process's.

    Returns
    -------
    int
        Exit code; ``mascot --help`` lists all.

    Raises
    ------
    SystemExit
        With 2 if the command line is wrong, with 0 after help.
    """
    args = make_parser().parse_args(argv)
    try:
        # Imported here, as subcommands import JAX.
        code: int = import_module(f"mascot_jax.command.{args.command.replace('-', '_')}").run(args)
        sys.stdout.flush()
    except MascotError as error:
        warn(_in_options(error))
        return USAGE if isinstance(error, SettingsError) else FAILED
    except BrokenPipeError:
        discard_output()  # the reader has closed the pipe
        return UNREAD
    except OSError as error:
        discard_output()
        warn(str(error))
        return FAILED
    except KeyboardInterrupt:
        warn("interrupted")
        return INTERRUPTED
    return code


def _in_options(error: MascotError) -> str:
    from mascot_jax.command.options import option  # slow to import: --help must not wait
    from mascot_jax.settings.naming import renamed

    return renamed(str(error), option)
