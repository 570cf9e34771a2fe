"""Regrouping: rows of similar rating counts become neighbours (Algorithm 1, line 1).

A group is a range of rows, so data per group take O(groups) memory, not O(rows).
"""

from __future__ import annotations

import os
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from mascot_jax.base.files import atomic_write

SIDES = ("users", "items")


class Grouping(NamedTuple):
    """Order and groups of the rows of one side (users or items).

    Attributes
    ----------
    order
        uint32 ``(rows,)``: original index of each regrouped row, most-rated first.
    starts
        uint32 ``(groups + 1,)``: group g holds rows ``starts[g]`` to ``starts[g + 1] - 1``.
    visits
        int64 ``(groups,)``: training ratings of each group.
    warm_rows
        Number of rows with at least one training rating; the rows after them are cold.
    """

    order: NDArray[np.uint32]
    starts: NDArray[np.uint32]
    visits: NDArray[np.int64]
    warm_rows: int

    @property
    def row_of(self) -> NDArray[np.uint32]:
        """uint32 ``(rows,)``: regrouped row of each original index, the inverse of ``order``."""
        return inverse(self.order)


MOST_GROUPS: Final = 65_536
"""Largest number of groups in a table: the kernels cannot number more."""


def check_groups(starts: NDArray[Any], codes: NDArray[Any], name: str) -> None:
    """Check the groups of a table, once, on the host: kernels on a device cannot refuse them.

    Parameters
    ----------
    starts, codes
        As in ``tables.rows.Rows``.
    name
        Name of the table in messages.

    Raises
    ------
    ValueError
        A dtype, shape or length is wrong, or the starts are not 0, then rising.
    """
    types = str(starts.dtype), str(codes.dtype), starts.ndim, codes.ndim
    if types != ("uint32", "uint8", 1, 1):
        raise ValueError(f"{name}: groups are {starts.dtype} {starts.shape}, {codes.dtype}")
    if not 1 <= len(codes) <= MOST_GROUPS or len(starts) != len(codes) + 1:
        raise ValueError(
            f"{name}: {len(codes)} groups with {len(starts)} starts: there must be 1 to "
            f"{MOST_GROUPS} groups, and a start more"
        )
    if starts[0] != 0 or (np.diff(starts.astype(np.int64)) <= 0).any():
        raise ValueError(f"{name}: the starts of groups must be 0, then rise: {starts}")


def inverse(order: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the inverse of a permutation, both uint32 ``(rows,)``."""
    rows = np.empty_like(order)
    rows[order] = np.arange(len(order), dtype=np.uint32)
    return rows


def regroup(counts: NDArray[np.int64], groups: int) -> Grouping:
    """Sort rows by their number of training ratings and cut them into groups.

    A group ends once it has at least ceil(rows / groups) rows, but never between rows of equal
    counts, so there can be fewer than ``groups``. Rows of equal counts keep their original order.

    Parameters
    ----------
    counts
        int64 ``(rows,)``: training ratings of each row; at least one row.
    groups
        Wanted number of groups (the paper's g), at least 1.
    """
    order = np.argsort(-counts, kind="stable").astype(np.uint32)
    ranked = counts[order]
    rows = len(ranked)
    least = -(-rows // groups)
    # A group may only start at a row where a new count begins.
    borders = np.append(np.flatnonzero(np.diff(ranked)) + 1, rows)
    starts = [0]
    while starts[-1] < rows:
        wanted = min(starts[-1] + least, rows)
        starts.append(int(borders[np.searchsorted(borders, wanted)]))
    visits = np.add.reduceat(ranked, starts[:-1])
    warm_rows = int(np.count_nonzero(ranked))
    return Grouping(order, np.array(starts, dtype=np.uint32), visits, warm_rows)


def save_groupings(path: str | os.PathLike[str], users: Grouping, items: Grouping) -> None:
    """Write the groupings of users and items to ``path``, atomically."""
    tensors = {
        f"{side}.{name}": np.asarray(value)
        for side, grouping in zip(SIDES, (users, items), strict=True)
        for name, value in grouping._asdict().items()
    }
    with atomic_write(path) as temporary:
        save_file(tensors, temporary)


def load_groupings(path: str | os.PathLike[str]) -> tuple[Grouping, Grouping]:
    """Read the groupings of users and items from ``path``."""
    tensors = load_file(os.fspath(path))

    def grouping(side: str) -> Grouping:
        order, starts, visits, warm_rows = (tensors[f"{side}.{name}"] for name in Grouping._fields)
        return Grouping(order, starts, visits, int(warm_rows))

    return grouping("users"), grouping("items")
