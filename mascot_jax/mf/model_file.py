"""Model files: safetensors, checked on loading, never pickle."""

from __future__ import annotations

import os
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.biases import DEFAULT_DAMPING, Biases, Damping
from mascot_jax.base.json_text import as_count, as_number
from mascot_jax.base.tensor_file import (
    Format,
    Place,
    read_tensors,
    stated_digest,
    stated_facts,
    write_tensors,
)
from mascot_jax.base.units import IN_OWN_UNITS, Units
from mascot_jax.errors import ModelFileError, SettingsError, printable
from mascot_jax.ids.file import ids_from_tensors, ids_to_tensors
from mascot_jax.ids.table import IdTable
from mascot_jax.mf.model import Model, ModelSide
from mascot_jax.ranking.pairs import Pairs
from mascot_jax.settings import RegroupSettings, TrainPlan, TrainSettings, validate
from mascot_jax.settings.interactions import without_interactions
from mascot_jax.tables.rows import Rows

FORMAT: Final = Format("model", "mascot", 6, ModelFileError)
"""Version 2 added biases and ``epochs_trained``; 3 ids, counts, seen items and the wanted groups; 4
removed how the training ran; 5 added units, the share of biases, lift, damping and biases to
compare with; 6 interactions, pruning, and rotations. Files of older versions can be read. A model
of ratings without the latter two is written as version 5, and one without any of what that added as
version 4: its bytes do not change."""
_OF_RATINGS: Final = FORMAT._replace(version=5)
_IN_OWN_UNITS: Final = FORMAT._replace(version=4)
_GROUND: Final[dict[str, Any]] = {
    "units": list(IN_OWN_UNITS),
    "bias_share": 1.0,
    "lift": 0.0,
    "damping": list(DEFAULT_DAMPING),
    "decided": [],
}
"""What factors stand on in files before version 5."""
_ADDED: Final = {"pruning", "rotations"}
"""Settings of version 6, besides those of interactions; left out where they are null."""
_HOW_IT_RAN: Final = ("backend", "threads", "checkpoint_every")
"""Settings of how the training ran, in files before version 4."""


def save_model(model: Model, path: Place) -> str:
    """Write a model file atomically; equal models give equal bytes.

    Returns
    -------
    str
        SHA-256 (hex) over everything that the model holds.
    """
    tensors = _tensors(model.users, "users") | _tensors(model.items, "items")
    if model.biases is not None:
        tensors |= {f"{side}.bias": bias for side, bias in model.biases._asdict().items()}
    if model.seen is not None:
        tensors |= {f"seen.{key}": value for key, value in model.seen._asdict().items()}
    if model.baseline is not None:
        tensors |= {f"{side}.baseline": bias for side, bias in model.baseline._asdict().items()}
    unused = {name for name in _ADDED if getattr(model.settings, name) is None}
    facts = {
        "settings": without_interactions(model.settings.model_dump(mode="json", exclude=unused)),
        "mean_rating": model.mean_rating,
        "low": model.low,
        "high": model.high,
        "traffic": model.traffic,
        "epochs_trained": model.epochs_trained,
        "warm_rows": [model.users.warm_rows, model.items.warm_rows],
        "regroup": model.regroup.model_dump(mode="json"),
        "ids": [_ids_facts(model.users.ids), _ids_facts(model.items.ids)],
    }
    if model.thresholds is not None:
        facts["thresholds"] = list(model.thresholds)
    values = {name: getattr(model, name) for name in _GROUND}
    ground = {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}
    if model.settings.of_interactions:
        facts |= ground | {"confidence": model.confidence}
        return write_tensors(path, FORMAT, tensors, facts)
    if unused != _ADDED:
        return write_tensors(path, FORMAT, tensors, facts | ground)
    if model.baseline is None and ground == _GROUND:
        return write_tensors(path, _IN_OWN_UNITS, tensors, facts)
    return write_tensors(path, _OF_RATINGS, tensors, facts | ground)


def load_model(path: Place) -> Model:
    """Read a model file.

    Raises
    ------
    ModelFileError
        If the file is truncated, altered, not a model, or of a newer version.
    FileNotFoundError
        If there is no such file.
    """
    tensors, facts = read_tensors(path, FORMAT)
    try:
        warm_users, warm_items = facts["warm_rows"]
        settings = _settings(facts)
        epochs = as_count(facts.get("epochs_trained", settings.epochs), 0, settings.epochs)
        width = settings.width(epochs)
        user_ids, item_ids = facts.get("ids", (None, None))
        users = _side(tensors, "users", warm_users, user_ids, width)
        items = _side(tensors, "items", warm_items, item_ids, width)
        return Model(
            settings,
            users,
            items,
            as_number(facts["mean_rating"]),
            *_range(facts),
            {str(name): as_number(share) for name, share in facts["traffic"].items()},
            epochs,
            _biases(tensors, users, items, "bias") if settings.biases else None,
            validate(RegroupSettings, facts.get("regroup", {}), "regroup"),
            _seen(tensors, users, items),
            **_ground(facts),
            baseline=_baseline(tensors, users, items),
            thresholds=_thresholds(facts),
            confidence=_confidence(facts),
        )
    except (AttributeError, KeyError, TypeError, ValueError, SettingsError) as error:
        raise ModelFileError(f"{path}: not a complete model: {printable(error)}") from error


def _settings(facts: dict[str, Any]) -> TrainPlan:
    values = {**facts["settings"]}
    if facts["format_version"] >= 4:
        return validate(TrainPlan, values, "settings")
    for name in _HOW_IT_RAN:
        values.pop(name, None)
    # The oldest files do not have these. Their rounding and criterion are those of the method.
    for name in ("deterministic", "biases"):
        values[name] = bool(values.get(name))
    return validate(TrainSettings, values, "settings").plan()


def model_facts(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a model file states about itself besides arrays; only ``load_model`` checks it.

    This includes ``format_version``, ``library_version`` and ``sha256``.
    """
    return stated_facts(path, FORMAT)


def model_digest(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 that a model file states; only ``load_model`` checks it."""
    return stated_digest(path, FORMAT)


def _tensors(side: ModelSide, name: str) -> dict[str, NDArray[Any]]:
    tensors: dict[str, NDArray[Any]] = {
        "order": side.order,
        "starts": side.table.starts,
        "codes": side.table.codes,
    }
    tensors |= {f"factors.{storage}": rows for storage, rows in side.table.stored.items()}
    if side.counts is not None:
        tensors["counts"] = side.counts
    if side.ids is not None:
        tensors |= ids_to_tensors(side.ids)
    return {f"{name}.{key}": value for key, value in tensors.items()}


def _ids_facts(ids: IdTable | None) -> dict[str, str] | None:
    return None if ids is None else {"kind": ids.kind, "dtype": ids.values.dtype.str}


def _range(facts: dict[str, Any]) -> tuple[float, float]:
    low, high = as_number(facts["low"]), as_number(facts["high"])
    if low > high:
        raise ValueError(f"ratings from {low} to {high}")
    return low, high


def _side(
    tensors: dict[str, NDArray[Any]],
    name: str,
    warm_rows: object,
    ids: dict[str, str] | None,
    factors: int,
) -> ModelSide:
    own = _below(f"{name}.", tensors)
    order = _column(own, "order", np.uint32)
    side = ModelSide(
        Rows(factors, _below("factors.", own), own["starts"], own["codes"]),
        order,
        as_count(warm_rows, 0, len(order)),
        None if ids is None else ids_from_tensors(own, ids["kind"], ids["dtype"]),
        _column(own, "counts", np.uint32) if "counts" in own else None,
    )
    _check(side, name)
    return side


def _below(prefix: str, tensors: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the tensors whose names begin with a prefix, by the rest of the name."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _column(tensors: dict[str, NDArray[Any]], name: str, dtype: type) -> NDArray[Any]:
    column = tensors[name]
    if column.dtype != dtype or column.ndim != 1:
        raise ValueError(f"{name} is {column.dtype} {column.shape}")
    return column


def _check(side: ModelSide, name: str) -> None:
    side.table.check(name)
    if len(side.table.stored) != len(np.unique(side.table.codes)):
        raise ValueError(f"{name}: no group is in some of {sorted(side.table.stored)}")
    rows = len(side.table)
    if not np.array_equal(np.sort(side.order), np.arange(rows)):
        raise ValueError(f"{name}: the order of rows is not a permutation")
    for what, table in (("ids", side.ids), ("counts", side.counts)):
        if table is not None and len(table) != rows:
            raise ValueError(f"{name}: {len(table)} {what} for {rows} rows")


def _seen(tensors: dict[str, NDArray[Any]], users: ModelSide, items: ModelSide) -> Pairs | None:
    if "seen.starts" not in tensors:
        return None
    seen = Pairs(
        _column(tensors, "seen.starts", np.int64), _column(tensors, "seen.items", np.uint32)
    )
    if not (
        len(seen.starts) == len(users) + 1
        and seen.starts[0] == 0
        and seen.starts[-1] == len(seen.items)
        and (np.diff(seen.starts) >= 0).all()
        and seen.items.max(initial=0) < len(items)
    ):
        raise ValueError("the table of seen items does not fit users and items")
    return seen


def _confidence(facts: dict[str, Any]) -> float:
    confidence = as_number(facts.get("confidence", 1.0))
    if confidence <= 0:
        raise ValueError(f"confidence is {confidence}")
    return confidence


def _ground(facts: dict[str, Any]) -> dict[str, Any]:
    found = _GROUND | {name: facts[name] for name in _GROUND if facts["format_version"] >= 5}
    units = Units(*map(as_number, found["units"]))
    damping = Damping(*map(as_number, found["damping"]))
    if not units.scale or min(damping) < 0:
        raise ValueError(f"units {units}, damping {damping}")
    decided = tuple(map(str, found["decided"]))
    if not set(decided) <= set(TrainSettings.model_fields):
        raise ValueError(f"decided by the ratings: {decided}")
    numbers = {name: as_number(found[name]) for name in ("bias_share", "lift")}
    return {"units": units, "damping": damping, "decided": decided, **numbers}


def _thresholds(facts: dict[str, Any]) -> tuple[float, float] | None:
    if "thresholds" not in facts:
        return None
    user, item = map(as_number, facts["thresholds"])
    if min(user, item) < 0:
        raise ValueError(f"thresholds {user}, {item}")
    return user, item


def _baseline(
    tensors: dict[str, NDArray[Any]], users: ModelSide, items: ModelSide
) -> Biases | None:
    if "users.baseline" not in tensors:
        return None
    return _biases(tensors, users, items, "baseline")


def _biases(
    tensors: dict[str, NDArray[Any]], users: ModelSide, items: ModelSide, name: str
) -> Biases:
    biases = Biases(*(tensors[f"{side}.{name}"] for side in Biases._fields))
    for bias, side, whose in zip(biases, (users, items), Biases._fields, strict=True):
        if bias.dtype != np.float32 or bias.shape != side.order.shape:
            raise ValueError(f"{whose}: biases are {bias.dtype} {bias.shape}")
    return biases
