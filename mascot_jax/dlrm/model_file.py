"""Files of click models: safetensors, checked on loading, never pickle."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.json_text import as_count
from mascot_jax.base.tensor_file import (
    Format,
    Place,
    Tensors,
    read_tensors,
    stated_facts,
    write_tensors,
)
from mascot_jax.clicks.data import MOST_ROWS
from mascot_jax.dlrm.model import ClickNetwork
from mascot_jax.dlrm.network import Layers, widths
from mascot_jax.dlrm.tiers import WORD, Tiers
from mascot_jax.engine.embedding import ROW_FORMATS, EmbeddingTables
from mascot_jax.errors import ModelFileError, SettingsError
from mascot_jax.settings.clicks import ClickSettings
from mascot_jax.settings.validation import validate

FORMAT: Final = Format("click model", "mascot-clicks", 2, ModelFileError)
_ENCODER: Final = "encoder."
"""Prefix of the names of an encoder's arrays."""


def save_click_model(model: ClickNetwork, path: Place) -> str:
    """Write a model file atomically; equal models give equal bytes.

    Returns its SHA-256 (hex).

    Raises
    ------
    SaveError
        If it cannot be written.
    """
    tensors: Tensors = {
        "tables.wide": np.asarray(model.tables.wide),
        "tables.narrow": np.asarray(model.tables.narrow),
        "tables.scales": model.scales,
    }
    for field, words in enumerate(model.tiers.words):
        if words.size:
            tensors[f"tiers.{field}"] = words
    for part, layers in model.layers.items():
        for number, layer in enumerate(layers):
            for name, value in layer.items():
                tensors[f"{part}.{number}.{name}"] = np.asarray(value)
    facts = {
        "settings": model.settings.model_dump(mode="json"),
        "cardinalities": list(model.tiers.cardinalities),
        "wide": list(model.tiers.wide),
        "dense": model.dense,
        "storage": model.tables.narrow_storage,
        "float_storage": model.tables.wide_storage,
        "training_bytes": model.training_bytes,
        "epochs": model.epochs,
    }
    if model.encoder is not None:
        arrays, facts["encoder"] = model.encoder
        tensors |= {f"{_ENCODER}{name}": array for name, array in arrays.items()}
    return write_tensors(path, FORMAT, tensors, facts)


def load_click_model(path: Place) -> ClickNetwork:
    """Read a model file.

    Raises
    ------
    ModelFileError
        If it is cut, altered, no click model, or of a version that is too new.
    FileNotFoundError
        If there is no such file.
    """
    tensors, facts = read_tensors(path, FORMAT)
    try:
        return _model(tensors, facts)
    except (KeyError, TypeError, ValueError, AttributeError, SettingsError) as error:
        raise ModelFileError(f"{path}: not a complete click model: {error}") from error


def click_model_facts(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a model file states of itself, unchecked, without reading its arrays."""
    return stated_facts(path, FORMAT)


def _model(tensors: Tensors, facts: dict[str, Any]) -> ClickNetwork:
    settings = validate(ClickSettings, facts["settings"], "settings")
    tiers = _tiers(tensors, facts)
    dense = as_count(facts["dense"], 0, 1 << 24)
    scales = _array(tensors, "tables.scales", (tiers.fields,), np.float32)
    if not (np.isfinite(scales).all() and scales.min() >= 0):
        raise ValueError("a scale is negative or not finite")
    tables = _tables(tensors, facts, tiers, settings.dimension)
    layers = _layers(tensors, settings, dense, tiers.fields)
    encoder = _encoder(tensors, facts)
    if tensors:
        raise ValueError(f"there is an array {min(tensors)!r:.60} too many")
    return ClickNetwork(
        settings,
        tiers,
        dense,
        layers,
        tables,
        scales,
        as_count(facts["training_bytes"], 0, 1 << 62),
        as_count(facts["epochs"], 0, 1 << 31),
        encoder,
    )


def _encoder(tensors: Tensors, facts: dict[str, Any]) -> tuple[Tensors, dict[str, Any]] | None:
    """Take out the encoder's arrays: what restores the encoder checks them."""
    if "encoder" not in facts:
        return None
    names = [name for name in tensors if name.startswith(_ENCODER)]
    return {name.removeprefix(_ENCODER): tensors.pop(name) for name in names}, facts["encoder"]


def _tiers(tensors: Tensors, facts: dict[str, Any]) -> Tiers:
    cardinalities = tuple(as_count(rows, 1, MOST_ROWS) for rows in facts["cardinalities"])
    if not cardinalities:
        raise ValueError("there is no field")
    there = sum(len(tensors[f"tables.{name}"]) for name in ("wide", "narrow"))
    if there != sum(cardinalities):  # before anything is made of so many
        raise ValueError(f"the tables have {there} rows, the fields {sum(cardinalities)}")
    masks = []
    for field, (rows, wide) in enumerate(zip(cardinalities, facts["wide"], strict=True)):
        as_count(wide, 0, rows)
        if f"tiers.{field}" not in tensors:
            masks.append(np.arange(rows) < wide)
            continue
        words = _array(tensors, f"tiers.{field}", (-(-rows // WORD),), np.uint64)
        mask = Tiers((rows,), (words,), (wide,)).mask(0)
        if mask.sum() != wide:
            raise ValueError(f"field {field} has {mask.sum()} frequent rows, not {wide}")
        masks.append(mask)
    return Tiers.of(masks)


def _tables(
    tensors: Tensors, facts: dict[str, Any], tiers: Tiers, dimension: int
) -> EmbeddingTables:
    narrow = str(facts["storage"])
    wide = str(facts.get("float_storage", "float32"))  # which version 1 does not state

    def rows(name: str, storage: str, count: int) -> jax.Array:
        if storage not in ROW_FORMATS:
            raise ValueError(f"storage {storage!r:.40} is not one of {', '.join(ROW_FORMATS)}")
        row = ROW_FORMATS[storage]
        return jnp.asarray(_array(tensors, name, (count, row.elements(dimension)), row.dtype))

    return EmbeddingTables(
        rows("tables.wide", wide, tiers.wide_rows),
        rows("tables.narrow", narrow, tiers.rows - tiers.wide_rows),
        narrow,
        wide,
    )


def _layers(tensors: Tensors, settings: ClickSettings, dense: int, fields: int) -> Layers:
    return {
        part: [
            {
                name: jnp.asarray(_array(tensors, f"{part}.{i}.{name}", shape, np.float32))
                for name, shape in (("weight", (a, b)), ("bias", (b,)))
            }
            for i, (a, b) in enumerate(pairwise(sizes))
        ]
        for part, sizes in widths(settings, dense, fields).items()
    }


def _array(
    tensors: Tensors, name: str, shape: tuple[int, ...], dtype: type | np.dtype[Any]
) -> NDArray[Any]:
    """Take an array out of those of a file, checked for its shape and dtype."""
    array = tensors.pop(name)
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(
            f"{name} is {array.dtype} {list(array.shape)}, not {np.dtype(dtype)} {list(shape)}"
        )
    return array
