"""A model as plain matrices, for vector-search engines: inner products are predictions."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from mascot_jax.errors import DataError
from mascot_jax.files import atomic_write, saving
from mascot_jax.ids import IdTable
from mascot_jax.model import Model

FILES: Final = ("users.npy", "items.npy", "user_ids.json", "item_ids.json")


def export_dense(
    model: Model,
    folder: str | os.PathLike[str],
    dtype: Literal["float32", "float16"] = "float32",
) -> list[Path]:
    """Write ``users.npy`` and ``items.npy``, and the id of each row, ``user_ids.json`` and so on.

    A matrix is ``(rows, k)``, decoded, in the order of the ids. With biases there are two more
    columns: users end in (mean + bias, 1), items in (1, bias), so that the inner product of a
    user's and an item's row is the prediction in any case. Factors of rows without a training
    rating are 0. Ids are a JSON array of numbers or strings; dates and bytes are text.

    Parameters
    ----------
    model
        What to write.
    folder
        Where to; made if need be.
    dtype
        Of the matrices.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    DataError
        If a number is too large for float16.
    SaveError
        If a file cannot be written.
    """
    folder = Path(folder)
    with saving(folder):
        folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in FILES]
    for path, rows in zip(paths[:2], (_users, _items), strict=True):
        _write_matrix(path, rows(model), dtype)
    for path, side in zip(paths[2:], (model.users, model.items), strict=True):
        _write_ids(path, side.id_table)
    return paths


def _users(model: Model) -> NDArray[np.float32]:
    rows = model.dense_users()
    rows[model.users.order[model.users.warm_rows :]] = 0
    if model.biases is None:
        return rows
    bias = model.biases.users[model.users.row_of] + np.float32(model.mean_rating)
    return np.column_stack([rows, bias, np.ones_like(bias)])


def _items(model: Model) -> NDArray[np.float32]:
    rows = model.dense_items()
    rows[model.items.order[model.items.warm_rows :]] = 0
    if model.biases is None:
        return rows
    bias = model.biases.items[model.items.row_of]
    return np.column_stack([rows, np.ones_like(bias), bias])


def _write_matrix(path: Path, rows: NDArray[np.float32], dtype: str) -> None:
    with np.errstate(over="ignore"):
        converted = rows.astype(dtype, copy=False)
    if not np.isfinite(converted).all():
        raise DataError(f"{path}: numbers up to {np.abs(rows).max():g} do not fit {dtype}")
    with atomic_write(path) as temporary:
        np.save(temporary, converted)


def _write_ids(path: Path, ids: IdTable) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(ids.values.tolist(), default=_text), encoding="utf-8")


def _text(id_: Any) -> str:
    return id_.decode(errors="backslashreplace") if isinstance(id_, bytes) else str(id_)
