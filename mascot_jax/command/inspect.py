"""``mascot inspect``: show the contents of a model file, or of a checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

from mascot_jax.base.tensor_file import is_of
from mascot_jax.command.checkpoint_facts import checkpoint_facts, storages_of
from mascot_jax.command.output import print_json, print_table
from mascot_jax.errors import CheckpointError
from mascot_jax.mf.model import Model, ModelSide
from mascot_jax.mf.model_file import load_model, model_facts
from mascot_jax.settings import TrainSettings
from mascot_jax.settings.methods import METHODS
from mascot_jax.training.checkpoint import FORMAT as CHECKPOINT
from mascot_jax.training.checkpoint_parts import FORMAT as PART

EXAMPLES: Final = 3
"""Number of ids shown per side."""
_STORAGES: Final = ("storage", "rows", "bytes", "groups")


def run(args: argparse.Namespace) -> int:
    """Print the contents of the file."""
    if is_of(args.model, PART):
        raise CheckpointError(
            f"{args.model}: a part of a checkpoint of several processes: inspect the checkpoint, "
            "which is beside this folder"
        )
    if is_of(args.model, CHECKPOINT):
        facts, show = checkpoint_facts(args.model), _show_checkpoint
    else:
        facts, show = _facts(args.model, load_model(args.model)), _show_model
    if args.json:
        print_json(facts)
    else:
        show(facts)
    return 0


def _show_model(facts: dict[str, Any]) -> None:
    settings = facts.pop("settings")
    sides = {name: facts.pop(name) for name in ("users", "items")}
    traffic = facts.pop("traffic")
    _show(facts)
    for name, side in sides.items():
        ids = f"{side['ids']} ids, such as {', '.join(map(repr, side['first_ids']))}"
        print(f"\n{name}: {side['count']}, {side['with_ratings']} of them with ratings; {ids}")
        print_table([part.values() for part in side["storages"]], _STORAGES)
    print("\nrow visits in training by storage")
    print_table((name, share) for name, share in traffic.items())
    _show_settings(settings)


def _show_checkpoint(facts: dict[str, Any]) -> None:
    settings, parts = facts.pop("settings"), facts.pop("parts")
    sides = {name: facts.pop(name) for name in ("users", "items")}
    _show(facts)
    for name, side in sides.items():
        print(f"\n{name}: {side['count']}")
        print_table([part.values() for part in side["storages"]], _STORAGES)
    if parts:
        print("\nparts, one of each process")
        print_table([part.values() for part in parts], ("file", "bytes"))
    _show_settings(settings)


def _show(facts: dict[str, Any]) -> None:
    print_table((name.replace("_", " "), _shown(value)) for name, value in facts.items())


def _show_settings(settings: dict[str, Any]) -> None:
    print("\nsettings")
    print_table((name, _shown(value)) for name, value in settings.items())


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
        "storages": storages_of(side.table),
    }


def _shown(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "null" if value is None else str(value)
