"""Command line: arguments, help and examples of every subcommand.

Imports are kept to what parsing needs, so that help appears at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
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

TABLE_HELP: Final = (
    "text with any separator, Parquet or .npz, also compressed; a folder of its parts; an archive, "
    "or a file in it (x.zip:ratings.csv); - for standard input"
)
RATINGS_HELP: Final = f"{TABLE_HELP}; MovieLens archives by their names, such as ml-1m.zip"

IDS: Final = "--users"
"""Option that takes ids, which may begin with a dash."""

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
    from mascot_jax.command.options import HELD_OUT

    _file(parser, "ratings", metavar="RATINGS", help=RATINGS_HELP)
    _file(parser, "-o", "--output", metavar="MODEL", required=True, help="the model file to write")
    _columns(parser, "user", "item", "rating")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from MODEL.checkpoint, which a training leaves that was interrupted or killed; "
        "without one, start anew",
    )
    _settings(parser, {"validation": HELD_OUT})


def _predict(parser: argparse.ArgumentParser) -> None:
    _model(parser)
    _file(parser, "pairs", metavar="PAIRS", help=f"a user and an item a row: {TABLE_HELP}")
    _columns(parser, "user", "item")
    _clip(parser)
    _output(parser)


def _recommend(parser: argparse.ArgumentParser) -> None:
    _model(parser)
    whom = parser.add_mutually_exclusive_group(required=True)
    whom.add_argument(
        IDS,
        nargs="+",
        action="extend",
        metavar="ID",
        help=f"users by their ids; {IDS}=ID for one that is written as an option is",
    )
    _file(whom, "--users-from", metavar="FILE", help="a file with a user's id a line; - for stdin")
    whom.add_argument("--all", action="store_true", help="every user of the model")
    parser.add_argument(
        "-n", type=_count, default=10, metavar="N", help="items per user (default: 10)"
    )
    parser.add_argument(
        "--include-seen", action="store_true", help="items that the user has rated, too"
    )
    _clip(parser)
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
    _scores(parser)
    parser.add_argument(
        "--include-seen", action="store_true", help="lists hold what users have rated, too"
    )


def _split(parser: argparse.ArgumentParser) -> None:
    from mascot_jax.settings.search import HOW

    _file(parser, "ratings", metavar="RATINGS", help=RATINGS_HELP)
    for name, purpose in (("train", "train on"), ("test", "test on")):
        _file(
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


def _cross_validate(parser: argparse.ArgumentParser) -> None:
    _file(parser, "ratings", metavar="RATINGS", help=RATINGS_HELP)
    _folds(parser, default=5)
    _columns(parser, "user", "item", "rating")
    _scores(parser)
    _settings(parser, {})


def _tune(parser: argparse.ArgumentParser) -> None:
    from mascot_jax.settings.search import METRICS, SAMPLERS, TRIALS

    _file(parser, "ratings", metavar="RATINGS", help=RATINGS_HELP)
    _file(
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
        "--metric", choices=METRICS, default="rmse", help="what to search for (default: rmse)"
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
    "split": (
        _split,
        _Words(
            "split a file of ratings into one to train on and one to test on",
            """\
Files have the columns of user, item and rating, and the time where it is read or
--time names it. With user and last, every user keeps a rating to train on.""",
            """\
  mascot split ratings.csv --train train.csv --test held_out.csv
  mascot split ratings.csv --train train.parquet --test held_out.parquet \\
      --how user --test-size 0.1
  mascot split timed.csv --train train.csv --test last.csv --how last""",
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
    "cross-validate": (
        _cross_validate,
        _Words(
            "train and test on each fold of a file of ratings",
            """\
Figures of mascot evaluate for each fold, their means and standard deviations.
Nothing is written.""",
            """\
  mascot cross-validate ratings.csv --factors 8 --epochs 2
  mascot cross-validate ratings.csv --folds 3 --top-n 10 --relevant 4 \\
      --factors 8 --epochs 2 --json""",
        ),
    ),
    "tune": (
        _tune,
        _Words(
            "search for the settings with the best figures over folds",
            """\
Trials that are worse than the median after a fold are given up. With --study,
Ctrl-C loses one trial: the same command goes on. Settings that are not searched
are options.""",
            """\
  mascot tune ratings.csv --trials 2 --epochs 2 --vary factors=4,8 \\
      --vary learning-rate=0.01..0.1:log --study study.db
  mascot tune ratings.csv --sampler grid --vary biases=yes,no --folds 2 \\
      --metric ndcg --epochs 2 --factors 8 --json""",
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


def _clip(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clip", action="store_true", help="keep to the range of the ratings")


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


def _share_or_count(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number


_share_or_count.__name__ = "number"  # argparse names it: "invalid number value"
