"""``mascot inspect``: show the contents of a model file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

from mascot_jax.command.output import print_json, print_table
from mascot_jax.mf.model import Model, ModelSide
from mascot_jax.mf.model_file import load_model, model_facts
from mascot_jax.settings import TrainSettings
from mascot_jax.settings.methods import METHODS
from mascot_jax.tables.storage import STORAGES

EXAMPLES: Final = 3
"""Number of ids shown per side."""


def run(args: argparse.Namespace) -> int:
    """Print the contents of the model file."""
    model = load_model(args.model)
    facts = _facts(args.model, model)
    if args.json:
        print_json(facts)
        return 0
    settings = facts.pop("settings")
    sides = {name: facts.pop(name) for name in ("users", "items")}
    traffic = facts.pop("traffic")
    print_table((name.replace("_", " "), _shown(value)) for name, value in facts.items())
    for name, side in sides.items():
        ids = f"{side['ids']} ids, such as {', '.join(map(repr, side['first_ids']))}"
        print(f"\n{name}: {side['count']}, {side['with_ratings']} of them with ratings; {ids}")
        header = ("storage", "rows", "bytes", "groups")
        print_table([part.values() for part in side["storages"]], header)
    print("\nrow visits in training by storage")
    print_table((name, share) for name, share in traffic.items())
    print("\nsettings")
    print_table((name, _shown(value)) for name, value in settings.items())
    return 0


def _facts(path: str, model: Model) -> dict[str, Any]:
    stated = model_facts(path)
    return {
        "model": path,
        "file_bytes": Path(path).stat().st_size,
        "format_version": stated["format_version"],
        "library_version": stated["library_version"],
        "sha256": stated["sha256"],
        "checksum_ok": True,  # load_model refuses a wrong checksum
        "factors": model.factors,
        "factor_bytes": model.factor_bytes,
        "epochs_trained": model.epochs_trained,
        "mean_rating": model.mean_rating,
        "lowest_rating": model.low,
        "highest_rating": model.high,
        "biases": model.biases is not None,
        "rating_scale": model.units.scale,
        "seen_pairs": None if model.seen is None else len(model.seen.items),
        "users": _side(model.users),
        "items": _side(model.items),
        "traffic": model.traffic,
        "settings": {
            **_settings(model.settings),
            **model.regroup.model_dump(mode="json"),
        },
    }


def _settings(settings: TrainSettings) -> dict[str, Any]:
    """Return the settings; the comparators' constants only if the method is a comparator."""
    unused = set() if METHODS[settings.method].compares else {"comparators"}
    return settings.model_dump(mode="json", exclude=unused)


def _side(side: ModelSide) -> dict[str, Any]:
    return {
        "count": len(side),
        "with_ratings": side.warm_rows,
        "ids": side.id_table.kind,
        "first_ids": side.id_table.values[:EXAMPLES].tolist(),
        "storages": [
            {
                "storage": name,
                "rows": len(rows),
                "bytes": rows.nbytes,
                "groups": int((side.table.codes == STORAGES[name].code).sum()),
            }
            for name, rows in side.table.stored.items()
        ],
    }


def _shown(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "null" if value is None else str(value)
