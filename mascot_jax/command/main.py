"""The entry point: parse, run the subcommand, and turn errors into a line and an exit code."""

from __future__ import annotations

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
"""As a shell reports a program that SIGINT ended."""
UNREAD = 141
"""As a shell reports a program that wrote to a pipe which nobody reads any more."""


def run() -> int:
    """Run the command as a process: what ``mascot`` starts.

    Ctrl-C ends it as it ends any program. Python's own way, an exception wherever the program is
    just then, breaks what no exception may come out of: imports, and other libraries' callbacks.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where it is ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return main()


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
        discard_output()  # whoever read it has enough
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
    from mascot_jax.command.options import option  # whose imports help must not wait for
    from mascot_jax.settings.naming import renamed

    return renamed(str(error), option)
