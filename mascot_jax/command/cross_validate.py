"""``mascot cross-validate``: train and test on each fold of a file of ratings."""

from __future__ import annotations

import argparse

from mascot_jax.base.metrics import OF_POPULARITY
from mascot_jax.command.options import (
    arguments_as_options,
    check_of_lists,
    checked_settings,
    given_settings,
)
from mascot_jax.command.output import print_json, print_table, warnings_as_messages
from mascot_jax.command.progress import steps
from mascot_jax.command.tables import read_values
from mascot_jax.errors import RatingsWarning
from mascot_jax.mf.estimator import MatrixFactorization
from mascot_jax.model_selection import CrossValidation, cross_validate
from mascot_jax.settings.defaults import with_defaults


def run(args: argparse.Namespace) -> int:
    """Cross-validate and print the figures."""
    settings, *_ = checked_settings(args, with_defaults)
    lists = args.top_n is not None or settings.of_interactions
    check_of_lists(args, lists=lists)
    model = MatrixFactorization(**given_settings(args), keep_seen=lists)
    ratings = read_values(args, args.ratings, settings)
    with (
        warnings_as_messages(RatingsWarning, once=True),  # folds are alike
        steps(args.folds, "fold", as_json=args.json) as on_fold,
        arguments_as_options(),
    ):
        found = cross_validate(
            model,
            ratings,
            folds=args.folds,
            seed=args.fold_seed,
            clip=args.clip,
            top_n=args.top_n,
            relevant=args.relevant,
            sampled=args.sampled,
            on_fold=on_fold,
        )
    if args.json:
        print_json({"event": "mean", "folds": len(found.folds), **found.mean, "std": found.std})
    else:
        _print_for_people(found)
    return 0


def _print_for_people(found: CrossValidation) -> None:
    names = [name for name in found.mean if not name.endswith(OF_POPULARITY)]
    rows: list[list[object]] = [
        [str(fold["fold"]), *(fold[name] for name in names)] for fold in found.folds
    ]
    rows += [
        [word, *(figures[name] for name in names)]
        for word, figures in (("mean", found.mean), ("std", found.std))
    ]
    if len(names) < len(found.mean):
        of_popularity = (found.mean.get(f"{name}{OF_POPULARITY}") for name in names)
        rows.append(["mean of most rated", *of_popularity])
    print_table(rows, ["fold", *(name.replace("_", " ") for name in names)])
