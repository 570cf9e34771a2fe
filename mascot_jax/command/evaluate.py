"""``mascot evaluate``: score a model's predictions and lists on ratings not trained on."""

from __future__ import annotations

import argparse
import warnings
from typing import Any

from mascot_jax.command.ids import parse_ids, warn_of_unknown
from mascot_jax.command.options import check_of_lists
from mascot_jax.command.output import print_json, print_table, warn, warnings_as_messages
from mascot_jax.command.tables import read_ratings
from mascot_jax.errors import BaselineWarning
from mascot_jax.mf.estimator import MatrixFactorization
from mascot_jax.mf.evaluation import SeenRatingsWarning, note_on_seen


def run(args: argparse.Namespace) -> int:
    """Evaluate the model and print its metrics."""
    check_of_lists(args, lists=args.top_n is not None)
    model = MatrixFactorization.load(args.model)
    frame = read_ratings(args, args.test)
    ratings = frame["rating"].to_numpy()
    user_table, item_table = model.model_.users.id_table, model.model_.items.id_table
    users = parse_ids(frame["user"].to_numpy(), user_table, "user")
    items = parse_ids(frame["item"].to_numpy(), item_table, "item")
    warn_of_unknown(users, user_table, "users", "predicted from what else is known")
    warn_of_unknown(items, item_table, "items", "predicted from what else is known")
    if args.top_n is not None and model.model_.seen is None and not args.include_seen:
        warn("the model does not know what users have rated: lists hold that, too")
    with warnings_as_messages(BaselineWarning):
        warnings.simplefilter("ignore", SeenRatingsWarning)  # said below, in the command's terms
        figures: dict[str, Any] = model.evaluate(
            (users, items, ratings),
            clip=args.clip,
            top_n=args.top_n,
            relevant=args.relevant,
            exclude_seen=not args.include_seen,
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
    if args.json:
        print_json(figures)
    else:
        known = {name: value for name, value in figures.items() if value is not None}
        print_table((name.replace("_", " "), value) for name, value in known.items())
    return 0
