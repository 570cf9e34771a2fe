"""Model files: safetensors, checked on loading, never pickle."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

import mascot_jax
from mascot_jax.biases import Biases
from mascot_jax.errors import ModelFileError, SettingsError, printable
from mascot_jax.files import atomic_write
from mascot_jax.json_text import as_count, as_number, parse_json
from mascot_jax.model import Model, ModelSide
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.storage import by_code

FORMAT_VERSION: Final = 2
"""2 added biases and ``epochs_trained``; files of version 1 are read."""
METADATA_KEY: Final = "mascot"
"""The one metadata key: with two or more, safetensors files are not byte-stable."""


def save_model(model: Model, path: str | os.PathLike[str]) -> str:
    """Write a model file, atomically; equal models give equal bytes.

    Returns
    -------
    str
        SHA-256 (hex) over everything the model holds.
    """
    tensors = _tensors(model.users, "users") | _tensors(model.items, "items")
    if model.biases is not None:
        tensors |= {f"{side}.bias": bias for side, bias in model.biases._asdict().items()}
    metadata = {
        "format_version": FORMAT_VERSION,
        "library_version": mascot_jax.__version__,
        "settings": model.settings.model_dump(mode="json"),
        "mean_rating": model.mean_rating,
        "low": model.low,
        "high": model.high,
        "traffic": model.traffic,
        "epochs_trained": model.epochs_trained,
        "warm_rows": [model.users.warm_rows, model.items.warm_rows],
    }
    metadata["sha256"] = digest = _digest(tensors, metadata)
    with atomic_write(path) as temporary:
        save_file(tensors, temporary, {METADATA_KEY: json.dumps(metadata, sort_keys=True)})
    return digest


def load_model(path: str | os.PathLike[str]) -> Model:
    """Read a model file.

    Raises
    ------
    ModelFileError
        If it is cut, altered, not a model, or of a newer version.
    FileNotFoundError
        If there is none.
    """
    tensors, metadata = _read(path)
    version = metadata.get("format_version")
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise ModelFileError(
            f"{path}: model format {version!r:.20} was written by mascot-jax "
            f"{printable(metadata.get('library_version'), 40)}; this version reads up to "
            f"{FORMAT_VERSION}: upgrade mascot-jax"
        )
    found = metadata.pop("sha256", None)
    if found != _digest(tensors, metadata):
        raise ModelFileError(f"{path}: the content does not match its checksum: altered or damaged")
    try:
        warm_users, warm_items = metadata["warm_rows"]
        settings = validate(TrainSettings, metadata["settings"], "settings")
        users = _side(tensors, "users", warm_users, settings.factors)
        items = _side(tensors, "items", warm_items, settings.factors)
        return Model(
            settings,
            users,
            items,
            as_number(metadata["mean_rating"]),
            *_range(metadata),
            {str(name): as_number(share) for name, share in metadata["traffic"].items()},
            as_count(metadata.get("epochs_trained", settings.epochs), 0, settings.epochs),
            _biases(tensors, users, items) if settings.biases else None,
        )
    except (AttributeError, KeyError, TypeError, ValueError, SettingsError) as error:
        raise ModelFileError(f"{path}: not a complete model: {printable(error)}") from error


def model_digest(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 that a model file states for itself; ``load_model`` is what checks it."""
    _, metadata = _read(path, with_tensors=False)
    return str(metadata.get("sha256"))


def _tensors(side: ModelSide, name: str) -> dict[str, NDArray[Any]]:
    plain = {"order": side.order, "starts": side.starts, "codes": side.codes}
    tensors = plain | {f"factors.{storage}": rows for storage, rows in side.factors.items()}
    return {f"{name}.{key}": np.ascontiguousarray(value) for key, value in tensors.items()}


def _range(metadata: dict[str, Any]) -> tuple[float, float]:
    low, high = as_number(metadata["low"]), as_number(metadata["high"])
    if low > high:
        raise ValueError(f"ratings from {low} to {high}")
    return low, high


def _column(tensors: dict[str, NDArray[Any]], name: str, dtype: type) -> NDArray[Any]:
    column = tensors[name]
    if column.dtype != dtype or column.ndim != 1:
        raise ValueError(f"{name} is {column.dtype} {column.shape}")
    return column


def _side(
    tensors: dict[str, NDArray[Any]], name: str, warm_rows: object, factors: int
) -> ModelSide:
    prefix = f"{name}.factors."
    order = _column(tensors, f"{name}.order", np.uint32)
    side = ModelSide(
        order,
        _column(tensors, f"{name}.starts", np.uint32),
        _column(tensors, f"{name}.codes", np.uint8),
        as_count(warm_rows, 0, len(order)),
        {key.removeprefix(prefix): rows for key, rows in tensors.items() if key.startswith(prefix)},
    )
    rows, groups = len(side.order), len(side.codes)
    if not (
        len(side.starts) == groups + 1 > 1
        and side.starts[0] == 0
        and side.starts[-1] == rows
        and (np.diff(side.starts.astype(np.int64)) > 0).all()
    ):
        raise ValueError(f"{name}: the group table does not cover the rows")
    if not np.array_equal(np.sort(side.order), np.arange(rows)):
        raise ValueError(f"{name}: the order of rows is not a permutation")
    storages = by_code(side.factors)
    for code in np.unique(side.codes):
        storage = storages.get(int(code))
        if storage is None:
            raise ValueError(f"{name}: groups are in a storage that the file does not hold")
        stored = side.factors[storage.name]
        if (
            stored.shape != (int(side.rows_in(storage).sum()), storage.elements(factors))
            or stored.dtype != storage.dtype
        ):
            raise ValueError(f"{name}: {storage.name} factors are {stored.dtype} {stored.shape}")
    if len(side.factors) != len(np.unique(side.codes)):
        raise ValueError(f"{name}: no group is in some of {sorted(side.factors)}")
    return side


def _biases(tensors: dict[str, NDArray[Any]], users: ModelSide, items: ModelSide) -> Biases:
    biases = Biases(tensors["users.bias"], tensors["items.bias"])
    for bias, side, name in zip(biases, (users, items), Biases._fields, strict=True):
        if bias.dtype != np.float32 or bias.shape != side.order.shape:
            raise ValueError(f"{name}: biases are {bias.dtype} {bias.shape}")
    return biases


def _read(
    path: str | os.PathLike[str], *, with_tensors: bool = True
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            text = (file.metadata() or {}).get(METADATA_KEY)
            names = file.keys() if with_tensors else ()
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, TypeError, AttributeError) as error:  # of a type NumPy has not
        raise ModelFileError(f"{path}: cut, damaged or not a model file: {error}") from error
    if text is None:
        raise ModelFileError(f"{path}: a safetensors file, but not a mascot-jax model")
    try:
        metadata = parse_json(text)
    except ValueError as error:
        raise ModelFileError(f"{path}: the metadata is damaged: {error}") from error
    if not isinstance(metadata, dict):
        raise ModelFileError(f"{path}: the metadata is damaged: not an object")
    return tensors, metadata


def _digest(tensors: dict[str, NDArray[Any]], metadata: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {tensor.dtype} {tensor.shape}\n".encode())
        digest.update(tensor.data.cast("B") if tensor.size else b"")
    return digest.hexdigest()
