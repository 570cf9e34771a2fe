"""``mascot split``: split a file of ratings into one to train on and one to test on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mascot_jax.command.options import arguments_as_options
from mascot_jax.command.output import print_json
from mascot_jax.command.tables import (
    WRITTEN,
    check_output,
    read_pairs_or_ratings,
    read_ratings,
    write_table,
)
from mascot_jax.errors import SettingsError
from mascot_jax.model_selection import train_test_split

if TYPE_CHECKING:
    import polars as pl

_TIMED: Final = ("last", "time")


def run(args: argparse.Namespace) -> int:
    """Split the ratings and write both files."""
    for name in ("train", "test"):
        check_output(getattr(args, name), WRITTEN, option=f"--{name}", read=[args.ratings])
    _check_files(args)
    timed = args.time is not None or args.how in _TIMED
    frame = (
        read_ratings(args, args.ratings, timed=True)
        if timed
        else read_pairs_or_ratings(args, args.ratings)
    )
    times = _times(frame, args.ratings) if timed else None
    with arguments_as_options():
        parts = train_test_split(
            frame, how=args.how, test_size=args.test_size, seed=args.seed, time=times
        )
    report: dict[str, object] = {"how": args.how, "seed": args.seed}
    for name, part in zip(("train", "test"), parts, strict=True):
        path = getattr(args, name)
        columns = {_name(args, column): part[column].to_numpy() for column in part.columns}
        write_table(path, columns)
        report |= {name: path, f"{name}_ratings": len(part)}
    if args.json:
        print_json(report)
    else:
        for name in ("train", "test"):
            print(f"{report[name]}: {report[f'{name}_ratings']} ratings to {name} on")
    return 0


def _times(frame: pl.DataFrame, place: str) -> pl.Series:
    from mascot_jax.data.formats.values import parse_times  # needs polars, which was found

    return parse_times(frame["time"], place)


def _check_files(args: argparse.Namespace) -> None:
    train, test = Path(args.train), Path(args.test)
    both = train.exists() and test.exists()
    if train.resolve() == test.resolve() or (both and train.samefile(test)):
        raise SettingsError(f"--train: {args.train!r}, --test: {args.test!r}: name two files")


def _name(args: argparse.Namespace, column: str) -> str:
    """Return the name of a column in the files: that of the ratings, if it was given."""
    given: str | None = getattr(args, column)
    if given is not None and not given.isdecimal():
        return given
    return "timestamp" if column == "time" else column
