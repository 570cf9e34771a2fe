"""Export a model as plain matrices, for engines that search vectors by inner product."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.files import atomic_write, local_path, saving
from mascot_jax.errors import SettingsError
from mascot_jax.ids.file import check_savable
from mascot_jax.ids.kinds import BYTES
from mascot_jax.ids.table import IdTable
from mascot_jax.mf.model import Model


def export_dense(
    model: Model,
    folder: str | os.PathLike[str],
    dtype: Literal["float32", "float16"] = "float32",
) -> None:
    """Write a model's factors and ids as files that most languages can read.

    ``users.npy`` and ``items.npy`` have a row for each id in ``user_ids`` and ``item_ids``: numbers
    and dates in a ``.npy`` file, strings in a ``.json`` list, bytes in a ``.json`` list of
    hexadecimal strings. The inner product of a user's row and an item's is the prediction, in the
    ratings' own units. A model that has neither units nor biases has rows of its k factors. Others
    have two more components: a user's row is ``(scale p, base + user bias, 1)``, an item's ``(q,
    1, item bias)``, with biases and base in the ratings' units. Users and items without a training
    rating have no row, as their predictions are no such product.

    Parameters
    ----------
    model
        Model to export.
    folder
        Output folder, created if there is none; files of these names are replaced.
    dtype
        Dtype of the rows. float16 rounds to nearest; factors that were stored in float16 change
        only where the model has a scale, and then only the users'.

    Raises
    ------
    SettingsError
        If dtype is another one, or float16 does not hold a component.
    DataError
        If ids are Python objects that no file can hold.
    PathError
        If the folder is a URL, or of a user that does not exist.
    SaveError
        If a file cannot be written.
    """
    if dtype not in ("float32", "float16"):
        raise SettingsError(f"dtype: {dtype!r}: must be float32 or float16")
    check_savable(model.users.id_table)
    check_savable(model.items.id_table)
    folder = local_path(folder)
    with saving(folder):
        folder.mkdir(parents=True, exist_ok=True)
    scales = np.float32(model.units.scale), np.float32(1)
    for name, side, more, scale in zip(
        ("user", "item"), (model.users, model.items), _tails(model), scales, strict=True
    ):
        warm = np.sort(side.order[: side.warm_rows])
        rows = side.dense(warm) * scale
        if more is not None:
            rows = np.hstack([rows, more[warm]])
        _write(folder / f"{name}s.npy", _rounded(rows, dtype, f"{name}s"))
        _write_ids(folder, name, side.id_table, warm)


def components(model: Model) -> int:
    """Return how many components an exported row has."""
    return model.factors + (0 if _only_factors(model) else 2)


def _only_factors(model: Model) -> bool:
    return model.biases is None and model.units.plain


def _tails(model: Model) -> list[NDArray[np.float32] | None]:
    """Return two more components of each user and item, by index, if predictions need them."""
    if _only_factors(model):
        return [None, None]
    users, items = model.shared_biases or (
        np.zeros(len(side), dtype=np.float32) for side in (model.users, model.items)
    )
    return [
        np.stack([np.float32(model.intercept) + users, np.ones_like(users)], axis=1),
        np.stack([np.ones_like(items), items], axis=1),
    ]


def _rounded(
    rows: NDArray[np.float32], dtype: str, name: str
) -> NDArray[np.float32] | NDArray[np.float16]:
    if dtype == "float32":
        return rows
    largest = float(np.abs(rows).max(initial=0))
    if largest > float(np.finfo(np.float16).max):
        raise SettingsError(
            f"dtype: float16 does not hold {largest:g}, a component of {name}: use float32"
        )
    return rows.astype(np.float16)


def _write_ids(folder: Path, name: str, ids: IdTable, indices: NDArray[np.uint32]) -> None:
    values = ids.decode(indices)
    if not values.dtype.hasobject:
        _write(folder / f"{name}_ids.npy", values)
        return
    texts = [id_.hex() if ids.kind == BYTES else str(id_) for id_ in values]
    with atomic_write(folder / f"{name}_ids.json") as temporary:
        temporary.write_text(json.dumps(texts), encoding="ascii")


def _write(path: Path, array: NDArray[Any]) -> None:
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)
