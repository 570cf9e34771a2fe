"""A table of factors on a device: rows in groups, each group in one storage."""

from __future__ import annotations

from typing import NamedTuple

import jax

Tables = dict[str, jax.Array]
"""Storage name -> factor table [rows, stride]; a row has the same index in each."""


class Side(NamedTuple):
    """The users, or the items: g groups over the rows of the tables."""

    tables: Tables
    """Factor tables ``(rows, stride)`` by storage name.

    A row lives in the one its group's code names; elsewhere it is never touched.
    """
    starts: jax.Array
    """uint32 ``(g + 1,)``: group j holds rows ``starts[j]`` to ``starts[j + 1] - 1``."""
    codes: jax.Array
    """uint8 ``(g,)``: the storage of each group's rows (``Storage.code``)."""
    baseline: jax.Array
    """float32 ``(g,)``: the first error measured of each group; NaN until then."""
