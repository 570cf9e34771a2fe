"""Groupings on disk: the two permutations and group tables, no second copy of the ratings."""

from __future__ import annotations

import os

import numpy as np
from safetensors.numpy import load_file, save_file

from mascot_jax.engine.grouping import Grouping
from mascot_jax.files import atomic_write

SIDES = ("users", "items")


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
