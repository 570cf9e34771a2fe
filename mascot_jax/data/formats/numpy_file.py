"""Read ratings from NumPy's ``.npz``: a sparse matrix of SciPy, or named arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from tokenize import TokenError
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mascot_jax.data.archive import Member, open_members
from mascot_jax.data.formats.columns import RATINGS, find_places, wanted_columns
from mascot_jax.data.formats.frames import check_kinds, usable_columns
from mascot_jax.errors import DataError
from mascot_jax.settings import Columns

Arrays = dict[str, NDArray[Any]]

_DAMAGED = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OSError,
    EOFError,
    OverflowError,
    SyntaxError,
    # NumPy reads a header with Python's tokenizer; text may hold what is no character.
    TokenError,
    SystemError,
)


def is_npz(names: Sequence[str]) -> bool:
    """Return whether a zip with files of these names is a ``.npz``."""
    return bool(names) and all(name.endswith(".npy") for name in names)


def read_npz(member: Member, columns: Columns, keys: tuple[str, ...] = RATINGS) -> pl.DataFrame:
    """Read a ``.npz``.

    Parameters
    ----------
    member : Member
        What ``scipy.sparse.save_npz`` wrote: users x items, row and column numbers are the ids, and
        every stored entry is a rating. Or arrays of one length that ``numpy.savez`` wrote.
    columns : Columns
        Names of the arrays.
    keys : tuple of str
        The columns to read.

    Returns
    -------
    polars.DataFrame, shape (ratings, columns)
        ``user`` and ``item`` (Int64 or String) and ``rating`` (Float32).

    Raises
    ------
    DataError
        The file is damaged, holds neither, or a row has no id or no finite rating.
    """
    frame = _frame(member, columns, keys)
    check_kinds(member.label, {key: getattr(columns, key) for key in keys}, frame.schema)
    return usable_columns(member.label, frame)


def check_columns(member: Member, columns: Columns, keys: tuple[str, ...]) -> None:
    """Raise a DataError if the file has not the columns."""
    _frame(member, columns, keys)


def _frame(member: Member, columns: Columns, keys: tuple[str, ...]) -> pl.DataFrame:
    wanted = wanted_columns(columns, keys)
    # Unpacked first: a member's header may lie about the size that NumPy reserves for it.
    with open_members(member.path, ["*.npy"]) as members:
        try:
            arrays = {
                m.name.removesuffix(".npy"): np.array(np.load(m.path, mmap_mode="r"))
                for m in members.found
            }
            if "format" in arrays:
                values = _of_sparse(arrays)
                if "time" in keys:
                    raise DataError(f"{member.label}: a sparse matrix has no times")
            else:
                found = f"its arrays are {list(arrays)}"
                places = find_places(member.label, wanted, list(arrays), found)
                values = {key: list(arrays.values())[at] for key, at in places.items()}
            return pl.DataFrame({key: _column(values[key]) for key in keys})
        except DataError:
            raise
        except _DAMAGED as error:
            raise DataError(
                f"{member.label}: neither a sparse matrix of scipy.sparse.save_npz nor arrays of "
                f"one length, of numbers or text ({error})"
            ) from error
        except pl.exceptions.PolarsError as error:
            raise DataError(f"{member.label}: its arrays are no columns ({error})") from error


def _column(values: NDArray[Any]) -> NDArray[Any]:
    if values.ndim != 1 or values.dtype.kind not in "iufbUS":
        raise ValueError(f"an array of {values.dtype} with the shape {values.shape}")
    return values


def _of_sparse(arrays: Arrays) -> Arrays:
    """Return rows, columns and entries of SciPy's formats coo, csr and csc."""
    form = arrays["format"].item()
    form = form.decode() if isinstance(form, bytes) else str(form)
    unpack: Callable[[Arrays], Arrays] | None = {
        "coo": lambda a: {"user": a["row"], "item": a["col"]},
        "csr": lambda a: {"user": _expanded(a), "item": a["indices"]},
        "csc": lambda a: {"user": a["indices"], "item": _expanded(a)},
    }.get(form)
    if unpack is None:
        raise ValueError(f"the sparse format {form:.20} is not read: save matrix.tocoo()")
    return {**unpack(arrays), "rating": arrays["data"]}


def _expanded(arrays: Arrays) -> NDArray[np.int64]:
    """Return the row number of each entry of a matrix in compressed rows (or columns)."""
    ends = _column(arrays["indptr"]).astype(np.int64)
    lengths: NDArray[np.int64] = ends[1:] - ends[:-1]
    if ends[0] != 0 or (lengths < 0).any() or ends[-1] != len(arrays["indices"]):
        raise ValueError("indptr does not ascend from 0 to the number of entries")
    return np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
