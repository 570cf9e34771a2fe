"""``mascot cross-validate``: train and test on each fold of a file of ratings."""

from __future__ import annotations

import argparse
from typing import Any

from mascot_jax.command.options import arguments_as_options, given_settings
from mascot_jax.command.output import print_json, print_table, warnings_as_messages
from mascot_jax.command.progress import steps_bar
from mascot_jax.command.tables import read_ratings
from mascot_jax.errors import RatingsWarning, SettingsError
from mascot_jax.mf.estimator import MatrixFactorization
from mascot_jax.model_selection import CrossValidation, cross_validate


def run(args: argparse.Namespace) -> int:
    """Cross-validate and print the figures."""
    if args.relevant is not None and args.top_n is None:
        raise SettingsError(f"--relevant: {args.relevant}: is of lists: give --top-n, too")
    model = MatrixFactorization(**given_settings(args), keep_seen=args.top_n is not None)
    ratings = read_ratings(args, args.ratings)
    with (
        warnings_as_messages(RatingsWarning, once=True),  # folds are alike
        steps_bar(args.folds, "fold", as_json=args.json) as bar,
        arguments_as_options(),
    ):

        def on_fold(figures: dict[str, Any]) -> None:
            bar.update()
            if args.json:
                print_json({"event": "fold", **figures})

        found = cross_validate(
            model,
            ratings,
            folds=args.folds,
            seed=args.fold_seed,
            clip=args.clip,
            top_n=args.top_n,
            relevant=args.relevant,
            on_fold=on_fold,
        )
    if args.json:
        print_json({"event": "mean", "folds": len(found.folds), **found.mean, "std": found.std})
    else:
        _print_for_people(found)
    return 0


def _print_for_people(found: CrossValidation) -> None:
    names = list(found.mean)
    rows: list[list[object]] = [
        [str(fold["fold"]), *(fold[name] for name in names)] for fold in found.folds
    ]
    rows += [
        [word, *figures.values()] for word, figures in (("mean", found.mean), ("std", found.std))
    ]
    print_table(rows, ["fold", *(name.replace("_", " ") for name in names)])
