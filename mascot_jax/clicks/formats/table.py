"""A table of clicks, opened: its columns are known, its rows are read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

from mascot_jax.clicks.raw import Schema


@dataclass(frozen=True)
class Table:
    """One file of a format.

    Attributes
    ----------
    schema : Schema
        Its columns.
    labelled : bool
        Whether it has labels.
    frames : callable
        Returns an iterator over its rows, which raises a DataError for a malformed one.
    header : tuple of str
        Fields of the header line of text whose columns are given by position; empty: it has none.
    """

    schema: Schema
    labelled: bool
    frames: Callable[[], Iterator[pl.DataFrame]]
    header: tuple[str, ...] = ()
