"""``mascot evaluate``: score a model's predictions and lists on ratings not trained on."""

from __future__ import annotations

import argparse
import warnings
from typing import Any

from mascot_jax.base.metrics import OF_POPULARITY
from mascot_jax.command.ids import parse_ids, warn_of_unknown
from mascot_jax.command.options import OF_LISTS, arguments_as_options, check_of_lists
from mascot_jax.command.output import print_json, print_table, warn, warnings_as_messages
from mascot_jax.command.tables import read_values
from mascot_jax.errors import BaselineWarning
from mascot_jax.mf.estimator import MatrixFactorization
from mascot_jax.mf.evaluation import SeenRatingsWarning, note_on_seen
from mascot_jax.mf.list_options import ListOptions
from mascot_jax.training.lists import LENGTH


def run(args: argparse.Namespace) -> int:
    """Evaluate the model and print its metrics."""
    options = {name: getattr(args, name) for name in ListOptions.model_fields}
    model = MatrixFactorization.load(args.model)
    if model.model_.settings.of_interactions and args.top_n is None:
        args.top_n = LENGTH
    check_of_lists(args, lists=args.top_n is not None)
    frame = read_values(args, args.test, model.model_.settings)
    ratings = frame["rating"].to_numpy()
    user_table, item_table = model.model_.users.id_table, model.model_.items.id_table
    users = parse_ids(frame["user"].to_numpy(), user_table, "user")
    items = parse_ids(frame["item"].to_numpy(), item_table, "item")
    warn_of_unknown(users, user_table, "users", "predicted from what else is known")
    warn_of_unknown(items, item_table, "items", "predicted from what else is known")
    if args.top_n is not None and model.model_.seen is None and not args.include_seen:
        warn("the model does not know what users have rated: lists hold that, too")
    with warnings_as_messages(BaselineWarning), arguments_as_options(seed="--sample-seed"):
        warnings.simplefilter("ignore", SeenRatingsWarning)  # said below, in the command's terms
        figures: dict[str, Any] = model.evaluate(
            (users, items, ratings),
            clip=args.clip,
            top_n=args.top_n,
            relevant=args.relevant,
            exclude_seen=not args.include_seen,
            sampled=args.sampled,
            seed=args.sample_seed,
            **options,
        )
    note = note_on_seen(
        figures["seen"],
        figures["ratings"],
        lists_leave_out=args.top_n is not None and not args.include_seen,
        split="mascot split",
        include="--include-seen",
    )
    if note is not None:
        warn(note)
    if args.top_n is not None:
        figures |= {"top_n": args.top_n, "relevant_rating": args.relevant}
        figures |= {name: value for name, value in options.items() if value != OF_LISTS[name]}
    if args.sampled is not None:
        figures |= {"sampled": args.sampled, "sample_seed": args.sample_seed}
    if args.json:
        print_json(figures)
    else:
        _print_for_people(figures)
    return 0


def _print_for_people(figures: dict[str, Any]) -> None:
    known = {name: value for name, value in figures.items() if value is not None}
    own = {name: value for name, value in known.items() if not name.endswith(OF_POPULARITY)}
    rows: list[list[object]] = [[name.replace("_", " "), value] for name, value in own.items()]
    if len(own) == len(known):
        print_table(rows)
        return
    for row, name in zip(rows, own, strict=True):
        row.append(known.get(f"{name}{OF_POPULARITY}"))
    print_table(rows, ["", "model", "most rated"])
