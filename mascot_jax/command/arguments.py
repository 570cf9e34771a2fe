"""Arguments of every subcommand, and those that several have.

Imports are kept to what parsing needs, so that help appears at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, Final

import shtab

from mascot_jax.base.files import local_path
from mascot_jax.errors import PathError

TABLE_HELP: Final = (
    "text with any separator, Parquet or .npz, also compressed; a folder of its parts; an archive, "
    "or a file in it (x.zip:ratings.csv); - for standard input"
)
RATINGS_HELP: Final = f"{TABLE_HELP}; MovieLens archives by their names, such as ml-1m.zip"

IDS: Final = "--users"
"""Option that takes ids, which may begin with a dash."""

Fill = Callable[[Any], None]
"""Adds the arguments of a subcommand to its parser."""


def train(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``mascot train``."""
    from mascot_jax.command.options import HELD_OUT

    file_argument(parser, "ratings", metavar="RATINGS", help=RATINGS_HELP)
    file_argument(
        parser, "-o", "--output", metavar="MODEL", required=True, help="the model file to write"
    )
    _columns(parser, "user", "item", "rating")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from MODEL.checkpoint, which a training leaves that was interrupted or killed; "
        "without one, start anew",
    )
    _processes(parser)
    _settings(parser, {"validation": HELD_OUT})


def _processes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("several processes, on one host or more")
    group.add_argument(
        "--distributed",
        action="store_true",
        help="share the training with the processes that a launcher (SLURM, Open MPI, Kubernetes, "
        "torchrun) has started with the same command; the model's bytes are those of one process; "
        "with --backend cuda: between all GPUs of these processes, or of this one, and bytes vary",
    )
    group.add_argument(
        "--coordinator",
        metavar="HOST:PORT",
        help="the same without a launcher: address of the process of rank 0, and a free port there",
    )
    group.add_argument("--processes", type=_count, metavar="N", help="number of processes")
    group.add_argument("--rank", type=_rank, metavar="R", help="number of this one, from 0")


def predict(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``mascot predict``."""
    model_argument(parser)
    file_argument(parser, "pairs", metavar="PAIRS", help=f"a user and an item a row: {TABLE_HELP}")
    _columns(parser, "user", "item")
    _clip(parser)
    output_option(parser)


def recommend(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``mascot recommend``."""
    model_argument(parser)
    whom = parser.add_mutually_exclusive_group(required=True)
    whom.add_argument(
        IDS,
        nargs="+",
        action="extend",
        metavar="ID",
        help=f"users by their ids; {IDS}=ID for one that is written as an option is",
    )
    file_argument(
        whom, "--users-from", metavar="FILE", help="a file with a user's id a line; - for stdin"
    )
    whom.add_argument("--all", action="store_true", help="every user of the model")
    parser.add_argument(
        "-n", type=_count, default=10, metavar="N", help="items per user (default: 10)"
    )
    parser.add_argument(
        "--include-seen", action="store_true", help="items that the user has rated, too"
    )
    _clip(parser)
    file_argument(
        parser,
        "--candidates",
        metavar="FILE",
        help="recommend no other items than these: a file with an item's id a line",
    )
    _list_options(parser)
    output_option(parser)


def evaluate(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``mascot evaluate``."""
    model_argument(parser)
    file_argument(parser, "test", metavar="TEST", help=f"ratings not trained on: {RATINGS_HELP}")
    _columns(parser, "user", "item", "rating")
    _scores(parser)
    parser.add_argument(
        "--include-seen", action="store_true", help="lists hold what users have rated, too"
    )
    _list_options(parser)
    _sampled(parser)
    parser.add_argument(
        "--sample-seed", type=int, default=0, metavar="N", help="fixes these draws (default: 0)"
    )


def split(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``mascot split``."""
    from mascot_jax.settings.search import HOW

    file_argument(parser, "ratings", metavar="RATINGS", help=RATINGS_HELP)
    for name, purpose in (("train", "train on"), ("test", "test on")):
        file_argument(
            parser,
            f"--{name}",
            metavar="FILE",
            required=True,
            help=f"the .csv, .tsv or .parquet file to write, of ratings to {purpose}",
        )
    parser.add_argument(
        "--how",
        choices=HOW,
        default="random",
        help="test on random ratings, on random ones of each user, on the last of each user by "
        "time, or on the latest of all by time (default: random)",
    )
    parser.add_argument(
        "--test-size",
        type=_share_or_count,
        metavar="N",
        help="number of ratings to test on, with user and last of each user, or, below 1, their "
        "share (default: 1 with last, else 0.2)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="(default: 0)")
    _columns(parser, "user", "item", "rating", "time")


def cross_validate(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``mascot cross-validate``."""
    file_argument(parser, "ratings", metavar="RATINGS", help=RATINGS_HELP)
    _folds(parser, default=5)
    _columns(parser, "user", "item", "rating")
    _scores(parser)
    _sampled(parser)
    _settings(parser, {})


def tune(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``mascot tune``."""
    from mascot_jax.settings.search import METRICS, SAMPLERS, TRIALS

    file_argument(parser, "ratings", metavar="RATINGS", help=RATINGS_HELP)
    file_argument(
        parser,
        "--study",
        metavar="FILE",
        help="the file that keeps the trials, an SQLite database of Optuna's; if it is there, the "
        "search goes on (default: none is kept)",
    )
    parser.add_argument(
        "--vary",
        action="append",
        metavar="SETTING=VALUES",
        help="a setting to search: factors=32,64 or learning-rate=0.003..0.05, with :log to search "
        "logarithms; again for each (default: factors, learning-rate, user-reg, item-reg)",
    )
    parser.add_argument(
        "--trials",
        type=_count,
        metavar="N",
        help=f"trials that the study shall have (default: {TRIALS}, or all of a grid)",
    )
    parser.add_argument(
        "--metric",
        choices=METRICS,
        default=None,
        help="what to search for (default: rmse; with --objective interactions, ndcg)",
    )
    parser.add_argument(
        "--sampler",
        choices=SAMPLERS,
        default="tpe",
        help="propose settings by Optuna's Parzen estimator, at random, or all of a grid "
        "(default: tpe)",
    )
    _folds(parser, default=3)
    _columns(parser, "user", "item", "rating")
    _scores(parser)
    _settings(parser, {})


def inspect(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``mascot inspect``."""
    model_argument(parser)


def doctor(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the doctor examines the machine."""


def export(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``mascot export``."""
    model_argument(parser)
    file_argument(parser, "folder", metavar="FOLDER", help="where to write; made if need be")
    parser.add_argument(
        "--dtype", choices=["float32", "float16"], default="float32", help="(default: float32)"
    )


def model_argument(parser: argparse.ArgumentParser) -> None:
    """Add the model file."""
    file_argument(parser, "model", metavar="MODEL", help="a model file")


def _settings(parser: argparse.ArgumentParser, values: dict[str, Any]) -> None:
    """Add an option for each setting; ``values`` are defaults that differ from the library's."""
    # Imported here: pydantic takes three times as long to import as all else that help needs.
    from mascot_jax.command.options import add_options
    from mascot_jax.settings import RegroupSettings, RunSettings, TrainSettings
    from mascot_jax.settings.defaults import with_defaults

    settings = parser.add_argument_group(
        "settings", "those of the library; null leaves a choice to the method or the recipe"
    )
    add_options(settings, TrainSettings(**with_defaults(values)))
    add_options(settings, RegroupSettings())
    add_options(settings, RunSettings())


def _folds(parser: argparse.ArgumentParser, *, default: int) -> None:
    parser.add_argument(
        "--folds",
        type=_count,
        default=default,
        metavar="N",
        help=f"number of folds (default: {default})",
    )
    parser.add_argument(
        "--fold-seed",
        type=int,
        default=0,
        metavar="N",
        help="fixes which ratings are in a fold (default: 0)",
    )


def _scores(parser: argparse.ArgumentParser) -> None:
    _clip(parser)
    parser.add_argument(
        "--top-n",
        type=_count,
        metavar="N",
        help="also compare N recommendations per user with the items that the user has rated among "
        "the ratings to test on",
    )
    parser.add_argument(
        "--relevant",
        type=float,
        metavar="RATING",
        help="of these, only items rated so high or higher are hits (default: all are)",
    )


def _list_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--min-ratings",
        type=int,
        default=1,
        metavar="N",
        help="leave out items with fewer training ratings (default: 1)",
    )
    parser.add_argument(
        "--popularity",
        type=float,
        default=0.0,
        metavar="X",
        help="rank an item with twice as many ratings as if its prediction were so much higher; "
        "below 0, lower (default: 0)",
    )
    parser.add_argument(
        "--diversity",
        type=float,
        default=0.0,
        metavar="X",
        help="from 0 to 1: prefer items unlike those before in the list (default: 0)",
    )


def _sampled(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sampled",
        type=_count,
        metavar="N",
        help="with --top-n: also rank each item to be found among N others, drawn at random",
    )


def _clip(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clip", action="store_true", help="keep to the range of the ratings")


def output_option(parser: argparse.ArgumentParser) -> None:
    """Add the option of a table to write instead of printing."""
    file_argument(
        parser,
        "-o",
        "--output",
        metavar="FILE",
        help="write a .csv, .tsv or .parquet file instead of printing",
    )


def _columns(parser: argparse.ArgumentParser, *names: str) -> None:
    group = parser.add_argument_group(
        "columns",
        "names in the header line, or positions from 0",
    )
    for name in names:
        usual = "timestamp, where --how needs it" if name == "time" else name
        group.add_argument(f"--{name}", metavar="COLUMN", help=f"(default: {usual})")
    group.add_argument(
        "--separator",
        metavar="WORD",
        help="comma, tab, semicolon, pipe, blanks, :: or a character (default: found out)",
    )


def file_argument(parser: argparse._ActionsContainer, *names: str, **settings: Any) -> None:
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


def _rank(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number, at least 0")
    return int(text)


def _share_or_count(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number


_share_or_count.__name__ = "number"  # argparse names it: "invalid number value"
