"""``mascot evaluate``: score a model's predictions and lists on ratings not trained on."""

from __future__ import annotations

import argparse
from typing import Any

from mascot_jax.command.ids import parse_ids, warn_of_unknown
from mascot_jax.command.output import print_json, print_table, warn, warnings_as_messages
from mascot_jax.command.tables import read_ratings
from mascot_jax.errors import BaselineWarning, SettingsError
from mascot_jax.mf.estimator import MatrixFactorization


def run(args: argparse.Namespace) -> int:
    """Evaluate the model and print its metrics."""
    if args.relevant is not None and args.top_n is None:
        raise SettingsError(f"--relevant: {args.relevant}: is of lists: give --top-n, too")
    model = MatrixFactorization.load(args.model)
    frame = read_ratings(args.test, args.user, args.item, args.rating)
    ratings = frame["rating"].to_numpy()
    user_table, item_table = model.model_.users.id_table, model.model_.items.id_table
    users = parse_ids(frame["user"].to_numpy(), user_table, "user")
    items = parse_ids(frame["item"].to_numpy(), item_table, "item")
    warn_of_unknown(users, user_table, "users", "predicted from what else is known")
    warn_of_unknown(items, item_table, "items", "predicted from what else is known")
    if args.top_n is not None and model.model_.seen is None:
        warn("the model does not know what users have rated: lists hold that, too")
    with warnings_as_messages(BaselineWarning):
        figures: dict[str, Any] = model.evaluate(
            (users, items, ratings), clip=args.clip, top_n=args.top_n, relevant=args.relevant
        )
    if args.top_n is not None:
        figures |= {"top_n": args.top_n, "relevant_rating": args.relevant}
    if args.json:
        print_json(figures)
    else:
        print_table((name.replace("_", " "), value) for name, value in figures.items())
    return 0
