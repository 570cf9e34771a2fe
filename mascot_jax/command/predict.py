"""``mascot predict``: predict the ratings of pairs of users and items."""

from __future__ import annotations

import argparse

from mascot_jax.command.ids import parse_ids, warn_of_unknown
from mascot_jax.command.output import print_columns
from mascot_jax.command.tables import WRITTEN, check_output, read_pairs, write_table
from mascot_jax.mf.estimator import MatrixFactorization


def run(args: argparse.Namespace) -> int:
    """Predict; print the predictions or write them to a file."""
    check_output(args.output, WRITTEN, read=[args.pairs, args.model])
    model = MatrixFactorization.load(args.model)
    pairs = read_pairs(args, args.pairs)
    users = parse_ids(pairs["user"], model.model_.users.id_table, "user")
    items = parse_ids(pairs["item"], model.model_.items.id_table, "item")
    consequence = "predicted from what else is known"
    warn_of_unknown(users, model.model_.users.id_table, "users", consequence)
    warn_of_unknown(items, model.model_.items.id_table, "items", consequence)
    columns = {
        "user": users,
        "item": items,
        "prediction": model.predict(users, items, clip=args.clip),
    }
    if args.output:
        write_table(args.output, columns)
    else:
        print_columns(columns, as_json=args.json)
    return 0
