"""Command line: arguments, help and examples of every subcommand.

Imports are kept to what parsing needs, so that help appears at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, Final, NamedTuple

import shtab

from mascot_jax.base.files import local_path
from mascot_jax.errors import PathError

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

RATINGS_HELP: Final = (
    "CSV, TSV (.tsv, .txt, .data), ::-separated (.dat) or Parquet, or an archive with one such "
    "file in it; MovieLens archives by their names, such as ml-1m.zip"
)

Fill = Callable[[argparse.ArgumentParser], None]


class _Subcommand(argparse.ArgumentParser):
    """Parser of a subcommand; its arguments are added only when it parses."""

    def __init__(self, *args: Any, fill: Fill, filled: bool, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._fill: Fill | None = fill
        if filled:
            self._add_arguments()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._add_arguments()
        return super().parse_known_args(args, namespace)

    def _add_arguments(self) -> None:
        if self._fill is not None:
            self._fill(self)
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
        parser_class=_Subcommand,
    )
    for name, (fill, words) in SUBCOMMANDS.items():
        commands.add_parser(
            name,
            help=words.summary,
            description=f"{words.summary[0].upper()}{words.summary[1:]}.\n\n{words.details}",
            epilog=f"examples:\n{words.examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            fill=fill,
            filled=filled,
        )
    return parser


def _train(parser: argparse.ArgumentParser) -> None:
    # Imported here: pydantic takes three times as long to import as all else that help needs.
    from mascot_jax.command.options import add_options, train_settings
    from mascot_jax.settings import RegroupSettings, RunSettings, TrainSettings

    _file(parser, "ratings", metavar="RATINGS", help=RATINGS_HELP)
    _file(parser, "-o", "--output", metavar="MODEL", required=True, help="the model file to write")
    _columns(parser, "user", "item", "rating")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from MODEL.checkpoint, which a training leaves that was interrupted or killed; "
        "without one, start anew",
    )
    settings = parser.add_argument_group(
        "settings", "those of the library; null leaves a choice to the method or the recipe"
    )
    add_options(settings, TrainSettings(**train_settings({})))
    add_options(settings, RegroupSettings())
    add_options(settings, RunSettings())


def _predict(parser: argparse.ArgumentParser) -> None:
    _model(parser)
    _file(
        parser, "pairs", metavar="PAIRS", help="CSV, TSV or Parquet with a user and an item a row"
    )
    _columns(parser, "user", "item")
    parser.add_argument("--clip", action="store_true", help="keep to the range of the ratings")
    _output(parser)


def _recommend(parser: argparse.ArgumentParser) -> None:
    _model(parser)
    whom = parser.add_mutually_exclusive_group(required=True)
    whom.add_argument("--users", nargs="+", metavar="ID", help="users by their ids")
    _file(whom, "--users-from", metavar="FILE", help="a file with a user's id a line")
    whom.add_argument("--all", action="store_true", help="every user of the model")
    parser.add_argument(
        "-n", type=_count, default=10, metavar="N", help="items per user (default: 10)"
    )
    parser.add_argument(
        "--include-seen", action="store_true", help="items that the user has rated, too"
    )
    _file(
        parser,
        "--candidates",
        metavar="FILE",
        help="recommend no other items than these: a file with an item's id a line",
    )
    _output(parser)


def _evaluate(parser: argparse.ArgumentParser) -> None:
    _model(parser)
    _file(parser, "test", metavar="TEST", help=f"ratings not trained on: {RATINGS_HELP}")
    _columns(parser, "user", "item", "rating")
    parser.add_argument("--clip", action="store_true", help="keep to the range of the ratings")
    parser.add_argument(
        "--top-n",
        type=_count,
        metavar="N",
        help="also compare N recommendations per user with the items that TEST has of that user",
    )
    parser.add_argument(
        "--relevant",
        type=float,
        metavar="RATING",
        help="of these, only items rated so high or higher are hits (default: all are)",
    )


def _inspect(parser: argparse.ArgumentParser) -> None:
    _model(parser)


def _doctor(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the doctor examines the machine."""


def _export(parser: argparse.ArgumentParser) -> None:
    _model(parser)
    _file(parser, "folder", metavar="FOLDER", help="where to write; made if need be")
    parser.add_argument(
        "--dtype", choices=["float32", "float16"], default="float32", help="(default: float32)"
    )


class _Words(NamedTuple):
    """Help texts of a subcommand."""

    summary: str
    details: str
    examples: str


SUBCOMMANDS: Final[Mapping[str, tuple[Fill, _Words]]] = {
    "train": (
        _train,
        _Words(
            "train a model on a file of ratings",
            """\
A progress bar shows epoch, RMSE on held-out ratings, ratings a second and the
time left; on a terminal only. The share of ratings held out, --validation, is
what the model is not trained on: with --validation 0 it is trained on all, and
its RMSE is not known. Ctrl-C stops after the epoch and saves the model so far,
and MODEL.checkpoint to --resume from; a second one stops at once.""",
            """\
  mascot train ratings.csv -o model.safetensors
  mascot train ratings.csv -o final.safetensors --validation 0
  mascot train orders.parquet -o orders.safetensors \\
      --user customer --item article --rating stars
  mascot train ratings.csv -o small.safetensors --factors 64 \\
      --method mascot --rounding null
  mascot train ratings.csv -o safe.safetensors --checkpoint-every 5 --resume --json""",
        ),
    ),
    "predict": (
        _predict,
        _Words(
            "predict the ratings of pairs of users and items",
            """\
Users and items that the model does not know are named on stderr, and predicted
from what is known: the mean rating and, in a model with biases, the other one's
bias.""",
            """\
  mascot predict model.safetensors pairs.csv
  mascot predict model.safetensors pairs.csv -o predicted.csv --clip""",
        ),
    ),
    "recommend": (
        _recommend,
        _Words(
            "list the best items for users",
            """\
Without items that the user has rated. Users that the model does not know are
named on stderr, and get its most-rated items.""",
            """\
  mascot recommend model.safetensors --users 1 2 3
  mascot recommend model.safetensors --users-from users.txt -n 5 \\
      --candidates new.txt --json
  mascot recommend model.safetensors --all -o lists.parquet""",
        ),
    ),
    "evaluate": (
        _evaluate,
        _Words(
            "compare a model's predictions with ratings",
            """\
RMSE and MAE; with --top-n, precision, recall, NDCG, hit rate and reciprocal
rank, as means over the users with a relevant item, and coverage, the share of
all items that are recommended to anyone.""",
            """\
  mascot evaluate model.safetensors test.csv
  mascot evaluate model.safetensors test.csv --top-n 10 --relevant 4 --json""",
        ),
    ),
    "inspect": (
        _inspect,
        _Words(
            "show what is in a model file",
            "Reading it checks it: a damaged file is refused.",
            """\
  mascot inspect model.safetensors
  mascot inspect model.safetensors --json""",
        ),
    ),
    "doctor": (
        _doctor,
        _Words(
            "look whether this machine has all that training takes",
            "For each problem, what to do. Exit code 1 if something is broken.",
            """\
  mascot doctor
  mascot doctor --json""",
        ),
    ),
    "export": (
        _export,
        _Words(
            "write a model's factors as arrays, for vector-search engines",
            """\
For each side a NumPy file of one row an id, and the ids. The inner product of a
user's and an item's row is the model's prediction. Ids without a rating have no
row.""",
            """\
  mascot export model.safetensors vectors
  mascot export model.safetensors vectors16 --dtype float16""",
        ),
    ),
}


def _model(parser: argparse.ArgumentParser) -> None:
    _file(parser, "model", metavar="MODEL", help="a model file")


def _output(parser: argparse.ArgumentParser) -> None:
    _file(
        parser,
        "-o",
        "--output",
        metavar="FILE",
        help="write a .csv, .tsv or .parquet file instead of printing",
    )


def _columns(parser: argparse.ArgumentParser, *names: str) -> None:
    group = parser.add_argument_group(
        "columns",
        "names in the header line, or positions from 0 in a file without one (.dat, .data)",
    )
    for name in names:
        group.add_argument(f"--{name}", metavar="COLUMN", help=f"(default: {name})")


def _file(parser: argparse._ActionsContainer, *names: str, **settings: Any) -> None:
    """Add an argument that tab completion completes to files."""
    file = parser.add_argument(*names, type=_path, **settings)
    file.complete = shtab.FILE  # type: ignore[attr-defined]


def _path(text: str) -> str:
    try:
        return str(local_path(text)) if text else text
    except PathError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number, at least 1")
    return int(text)
