"""``mascot recommend``: recommend the best items for users."""

from __future__ import annotations

import argparse
from typing import Any

from numpy.typing import NDArray

from mascot_jax.command.ids import parse_ids, warn_of_unknown
from mascot_jax.command.options import arguments_as_options
from mascot_jax.command.output import print_columns
from mascot_jax.command.tables import WRITTEN, check_output, read_lines, write_table
from mascot_jax.errors import DataError
from mascot_jax.mf.estimator import MatrixFactorization
from mascot_jax.mf.list_options import ListOptions
from mascot_jax.mf.model import Model


def run(args: argparse.Namespace) -> int:
    """Recommend; print the lists or write them to a file."""
    check_output(args.output, WRITTEN, read=[args.model, args.users_from, args.candidates])
    model = MatrixFactorization.load(args.model)
    if model.model_.seen is None and not args.include_seen:
        raise DataError(
            f"{args.model} does not know which items its users have rated: use --include-seen"
        )
    users, candidates = _users(args, model.model_), _candidates(args, model.model_)
    with arguments_as_options():
        found = model.recommend(
            users,
            args.n,
            exclude_seen=not args.include_seen,
            candidates=candidates,
            clip=args.clip,
            **{name: getattr(args, name) for name in ListOptions.model_fields},
        )
    columns = {
        "user": found.users,
        "rank": found.ranks,
        "item": found.items,
        "score": found.scores,
    }
    if args.output:
        write_table(args.output, columns)
    else:
        print_columns(columns, as_json=args.json)
    return 0


def _users(args: argparse.Namespace, model: Model) -> NDArray[Any]:
    table = model.users.id_table
    if args.all:
        return table.values
    users = parse_ids(args.users or read_lines(args.users_from), table, "user")
    warn_of_unknown(users, table, "users", "recommended what most have rated")
    return users


def _candidates(args: argparse.Namespace, model: Model) -> NDArray[Any] | None:
    if args.candidates is None:
        return None
    table = model.items.id_table
    items = parse_ids(read_lines(args.candidates), table, "item")
    warn_of_unknown(items, table, "items", "not recommended")
    return items
