"""Regrouping: rows of similar rating counts become neighbours (Algorithm 1, line 1).

Rows of one group are one range, so what is known per group costs O(groups), not O(rows).
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
    """One side's new order and groups.

    Attributes
    ----------
    order
        uint32 ``(rows,)``: the original index of each regrouped row, most-rated first.
    starts
        uint32 ``(groups + 1,)``: group g holds rows ``starts[g]`` to ``starts[g + 1] - 1``.
    visits
        int64 ``(groups,)``: training ratings of each group.
    warm_rows
        Rows with at least one training rating; those from here on are cold.
    """

    order: NDArray[np.uint32]
    starts: NDArray[np.uint32]
    visits: NDArray[np.int64]
    warm_rows: int

    @property
    def row_of(self) -> NDArray[np.uint32]:
        """uint32 ``(rows,)``: the regrouped row of each original index, ``order``'s inverse."""
        return inverse(self.order)


MOST_GROUPS: Final = 65_536
"""Of a table: as many as the kernels can number."""


def check_groups(starts: NDArray[Any], codes: NDArray[Any], name: str) -> None:
    """Check a group table once, on the host: kernels on a device cannot refuse it.

    Parameters
    ----------
    starts, codes
        As of ``tables.rows.Rows``.
    name
        What messages call the table.

    Raises
    ------
    ValueError
        If types, lengths or the starts are not those of groups.
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

    A group is closed when it holds at least ceil(rows / groups) rows, and never between rows of
    equal counts, so there can be fewer than ``groups``. Equal counts keep their original order.

    Parameters
    ----------
    counts
        int64 ``(rows,)``: training ratings of each row, at least one row.
    groups
        The wanted number of groups (the paper's g), at least 1.
    """
    order = np.argsort(-counts, kind="stable").astype(np.uint32)
    ranked = counts[order]
    rows = len(ranked)
    least = -(-rows // groups)
    # Rows where a new count begins: the only places a group may start.
    borders = np.append(np.flatnonzero(np.diff(ranked)) + 1, rows)
    starts = [0]
    while starts[-1] < rows:
        wanted = min(starts[-1] + least, rows)
        starts.append(int(borders[np.searchsorted(borders, wanted)]))
    visits = np.add.reduceat(ranked, starts[:-1])
    warm_rows = int(np.count_nonzero(ranked))
    return Grouping(order, np.array(starts, dtype=np.uint32), visits, warm_rows)


def save_groupings(path: str | os.PathLike[str], users: Grouping, items: Grouping) -> None:
    """Write both sides' groupings, atomically."""
    tensors = {
        f"{side}.{name}": np.asarray(value)
        for side, grouping in zip(SIDES, (users, items), strict=True)
        for name, value in grouping._asdict().items()
    }
    with atomic_write(path) as temporary:
        save_file(tensors, temporary)


def load_groupings(path: str | os.PathLike[str]) -> tuple[Grouping, Grouping]:
    """Read what ``save_groupings`` wrote: users, items."""
    tensors = load_file(os.fspath(path))

    def grouping(side: str) -> Grouping:
        order, starts, visits, warm_rows = (tensors[f"{side}.{name}"] for name in Grouping._fields)
        return Grouping(order, starts, visits, int(warm_rows))

    return grouping("users"), grouping("items")
