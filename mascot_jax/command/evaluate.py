"""``mascot evaluate``: a model's predictions and lists against ratings it was not trained on."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from mascot_jax.command.ids import parse_ids, warn_of_unknown
from mascot_jax.command.output import print_json, print_table, warn
from mascot_jax.command.tables import read_ratings
from mascot_jax.estimator import MatrixFactorization
from mascot_jax.serving.list_metrics import list_metrics


def run(args: argparse.Namespace) -> int:
    """Evaluate and print."""
    model = MatrixFactorization.load(args.model)
    frame = read_ratings(args.test, args.user, args.item, args.rating)
    ratings = frame["rating"].to_numpy()
    user_table, item_table = model.model_.users.id_table, model.model_.items.id_table
    users = parse_ids(frame["user"].to_numpy(), user_table, "user")
    items = parse_ids(frame["item"].to_numpy(), item_table, "item")
    warn_of_unknown(users, user_table, "users", "predicted from what else is known")
    warn_of_unknown(items, item_table, "items", "predicted from what else is known")
    figures: dict[str, Any] = dict(model.evaluate((users, items, ratings), clip=args.clip))
    if args.top_n is not None:
        if model.model_.seen is None:
            warn("the model does not know what users have rated: lists hold that, too")
        relevant = (
            np.full(len(ratings), True) if args.relevant is None else ratings >= args.relevant
        )
        lists = list_metrics(model, users, items, relevant, args.top_n)
        figures |= {"top_n": args.top_n, "relevant_rating": args.relevant, **lists._asdict()}
    if args.json:
        print_json(figures)
    else:
        print_table((name.replace("_", " "), value) for name, value in figures.items())
    return 0
