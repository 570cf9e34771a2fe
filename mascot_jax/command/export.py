"""``mascot export``: write a model's factors as arrays."""

from __future__ import annotations

import argparse

from mascot_jax.command.output import print_json
from mascot_jax.mf.export import components, export_dense
from mascot_jax.mf.model_file import load_model


def run(args: argparse.Namespace) -> int:
    """Write the arrays and print their sizes."""
    model = load_model(args.model)
    export_dense(model, args.folder, args.dtype)
    facts = {
        "folder": args.folder,
        "dtype": args.dtype,
        "users": model.users.warm_rows,
        "items": model.items.warm_rows,
        "components": components(model),
    }
    if args.json:
        print_json(facts)
    else:
        print(
            f"{facts['folder']}: {facts['users']} users and {facts['items']} items, "
            f"{facts['components']} components of {facts['dtype']}"
        )
    return 0
