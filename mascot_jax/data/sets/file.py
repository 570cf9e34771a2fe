"""Data set ``file``: the user's own ratings."""

from __future__ import annotations

from mascot_jax.data.formats.own import read_own
from mascot_jax.data.sets.data_set import DataSet

FILE = DataSet(
    "file",
    None,
    None,
    read_own,
    None,
    "Yours.",
    "Set data.source to the path or URL of your ratings, and data.columns to their columns",
)
