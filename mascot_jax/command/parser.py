"""Command line: the parser of every subcommand.

Imports are kept to what parsing needs, so that help appears at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final

import shtab

from mascot_jax.command.arguments import IDS, Fill
from mascot_jax.command.subcommands import SUBCOMMANDS

DESCRIPTION: Final = """\
Train recommender models on ratings, and use them: predict, recommend, evaluate.

Every subcommand prints for people, and with --json for machines."""

EXIT_CODES: Final = """\
exit codes:
  0    done
  1    the work failed: bad ratings, a damaged model, a full disk; or the doctor
       found something broken
  2    the command line or a setting is wrong; nothing was started
  130  interrupted (143: by SIGTERM); train ends its epoch first and saves the
       model, unless it is asked twice
  141  whoever read the output has closed it

An error is a line on stderr that begins with "mascot". docs/command.md has the
keys of --json. Tab completion in bash: eval "$(mascot --print-completion bash)"
"""


class Subcommand(argparse.ArgumentParser):
    """Parser of a subcommand; its arguments are added only when it parses."""

    def __init__(self, *args: Any, fill: Fill, filled: bool, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._fill: Fill | None = fill
        self.filled = filled
        if filled:
            self._add_arguments()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Add the arguments, then parse."""
        self._add_arguments()
        return super().parse_known_args(self._with_ids(args), namespace)

    def _with_ids(self, args: Sequence[str]) -> list[str]:
        """Let ids after ``--users`` begin with a dash: only an option of this parser ends them."""
        done: list[str] = []
        taking = False
        for arg in args:
            if self._is_option(arg, taking):
                taking = arg == IDS and IDS in self._option_string_actions
                done.append(arg)
            elif taking:
                done = done[:-1] if done[-1] == IDS else done
                done.append(f"{IDS}={arg}")
            else:
                done.append(arg)
        return done

    def _is_option(self, arg: str, taking: bool) -> bool:
        """Return whether an argument is an option, with its value (``-n5``, ``-n=5``) or not."""
        options = self._option_string_actions
        if arg == "--" or arg in options or arg.partition("=")[0] in options:
            return True
        short = arg[:2] in options and not arg.startswith("--")
        if short and taking and not arg[2:].isdecimal():
            self.error(
                f"{arg}: an id, or the option {arg[:2]}? write {IDS}={arg} or {arg[:2]} {arg[2:]}"
            )
        return short

    def _add_arguments(self) -> None:
        if self._fill is not None:
            self._fill(self)
            if self._subparsers is None:  # theirs otherwise
                self.add_argument("--json", action="store_true", help="print JSON, for machines")
        self._fill = None


class _PrintCompletion(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, _: Any, shell: Any, *__: Any) -> None:
        print(shtab.complete(make_parser(filled=True), shell))
        parser.exit()


def make_parser(*, filled: bool = False) -> argparse.ArgumentParser:
    """Return the parser; the parsed ``command`` names the module to run.

    ``filled`` adds the arguments of all subcommands at once, which tab completion needs.
    """
    parser = argparse.ArgumentParser(
        prog="mascot",
        description=DESCRIPTION,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=version("mascot-jax"))
    parser.add_argument(
        "--print-completion",
        action=_PrintCompletion,
        choices=shtab.SUPPORTED_SHELLS,
        help="print a script for tab completion",
    )
    commands = parser.add_subparsers(
        title="subcommands",
        dest="command",
        required=True,
        metavar="SUBCOMMAND",
        parser_class=Subcommand,
    )
    for name, (fill, words) in SUBCOMMANDS.items():
        commands.add_parser(name, **words.settings(), fill=fill, filled=filled)
    return parser
