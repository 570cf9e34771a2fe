"""Arguments, help and examples of the subcommands of ``mascot clicks``.

Imports are kept to what parsing needs, so that help appears at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from mascot_jax.command.arguments import Fill, file_argument, model_argument, output_option
from mascot_jax.command.words import Words

if TYPE_CHECKING:
    from mascot_jax.command.parser import Subcommand

ROWS_HELP: Final = (
    "text with any separator of one character, Parquet or libFM's format, also compressed; a "
    "folder of its parts; an archive, or a file in it (x.zip:clicks.csv); - for standard input"
)
WORDS: Final = Words(
    "train models that predict clicks, and use them",
    """\
Deep learning recommendation models (DLRM) of labels, numbers and ids. A model
file holds what encodes new rows, too. docs/clicks.md is the tutorial.""",
    """\
  mascot clicks train clicks.csv -o clicks.safetensors --dense age --epochs 1
  mascot clicks predict clicks.safetensors new_clicks.csv
  mascot clicks evaluate clicks.safetensors clicks.csv
  mascot clicks inspect clicks.safetensors""",
)


def fill(parser: Subcommand) -> None:
    """Add the subcommands of ``mascot clicks``."""
    commands = parser.add_subparsers(
        title="subcommands", dest="action", required=True, metavar="SUBCOMMAND"
    )
    for name, (arguments, words) in ACTIONS.items():
        commands.add_parser(name, **words.settings(), fill=arguments, filled=parser.filled)


def _train(parser: argparse.ArgumentParser) -> None:
    # Imported here: pydantic takes three times as long to import as all else that help needs.
    from mascot_jax.command.options import add_options
    from mascot_jax.settings import EncodeSettings
    from mascot_jax.settings.clicks import ClickRunSettings, ClickSettings

    file_argument(parser, "rows", metavar="ROWS", help=ROWS_HELP)
    file_argument(
        parser, "-o", "--output", metavar="MODEL", required=True, help="the model file to write"
    )
    parser.add_argument(
        "--data-set",
        choices=("file", "criteo", "avazu", "ml-1m", "libfm"),
        default="file",
        help="layout of the rows: a table whose columns are named below, or that of a known data "
        "set (default: file)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from MODEL.checkpoint, which a training leaves that was interrupted or killed; "
        "without one, start anew",
    )
    _columns(parser)
    encoding = parser.add_argument_group("encoding", "null leaves a choice to the data set")
    # One seed serves all; a test is a file of its own, for evaluate.
    add_options(encoding, EncodeSettings(), without=("seed", "test"))
    settings = parser.add_argument_group("settings", "those of the library")
    add_options(settings, ClickSettings())
    add_options(settings, ClickRunSettings())


def _columns(parser: argparse.ArgumentParser) -> None:
    from mascot_jax.command.options import add_options
    from mascot_jax.settings import ClickColumns

    columns = parser.add_argument_group(
        "columns", "names in the header line, or positions from 0; I1..I13 is a range"
    )
    add_options(columns, ClickColumns())


def _predict(parser: argparse.ArgumentParser) -> None:
    model_argument(parser)
    file_argument(parser, "rows", metavar="ROWS", help=f"rows with or without labels: {ROWS_HELP}")
    _separator(parser)
    output_option(parser)


def _evaluate(parser: argparse.ArgumentParser) -> None:
    model_argument(parser)
    file_argument(parser, "rows", metavar="ROWS", help=f"rows not trained on: {ROWS_HELP}")
    _separator(parser)


def _separator(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--separator",
        metavar="WORD",
        help="comma, tab, semicolon, pipe or a character (default: found out)",
    )


ACTIONS: Final[Mapping[str, tuple[Fill, Words]]] = {
    "train": (
        _train,
        Words(
            "train a model on a file of clicks",
            """\
Ids that are rare in the training rows share a row of their field's table. The
share of rows held out, --validation, is scored after each epoch. Ctrl-C stops
after the epoch and saves the model so far, and MODEL.checkpoint to --resume
from; a second one stops at once.""",
            """\
  mascot clicks train clicks.csv -o model.safetensors --dense age --epochs 1
  mascot clicks train train.txt -o model.safetensors --data-set criteo
  mascot clicks train rows.tsv -o model.safetensors --label 0 --dense 1..13 \\
      --categories 14..39 --numbers log --min-count 2 --preset fp32""",
        ),
    ),
    "predict": (
        _predict,
        Words(
            "predict the probability of a click of each row",
            """\
Columns are those of the training. Ids that were unseen or rare in it are counted
on stderr; they share a row.""",
            """\
  mascot clicks predict clicks.safetensors new_clicks.csv
  mascot clicks predict clicks.safetensors new_clicks.csv -o predicted.csv""",
        ),
    ),
    "evaluate": (
        _evaluate,
        Words(
            "compare a model's predictions with labels",
            "AUC, log loss, accuracy and calibration, and the bytes of the tables.",
            """\
  mascot clicks evaluate clicks.safetensors clicks.csv --json""",
        ),
    ),
    "inspect": (
        model_argument,
        Words(
            "show what is in a model file",
            "Reading it checks it: a damaged file is refused.",
            """\
  mascot clicks inspect clicks.safetensors""",
        ),
    ),
}
