"""``mascot export``: a model's factors as arrays."""

from __future__ import annotations

import argparse

from mascot_jax.command.output import print_json
from mascot_jax.export import export_dense
from mascot_jax.model_file import load_model


def run(args: argparse.Namespace) -> int:
    """Write them, and say where."""
    paths = export_dense(load_model(args.model), args.folder, args.dtype)
    if args.json:
        print_json({"folder": args.folder, "files": [path.name for path in paths]})
    else:
        for path in paths:
            print(path)
    return 0
