"""The data sets that are known by name, a file each."""

from __future__ import annotations

from mascot_jax.data.sets.data_set import DataSet
from mascot_jax.data.sets.file import FILE
from mascot_jax.data.sets.movielens import MOVIELENS
from mascot_jax.data.sets.netflix import NETFLIX
from mascot_jax.data.sets.yahoo_music import YAHOO_MUSIC

__all__ = ["DATA_SETS", "DataSet"]

DATA_SETS = {data_set.name: data_set for data_set in (*MOVIELENS, NETFLIX, YAHOO_MUSIC, FILE)}
"""By name. The settings know the names, too: they are checked without polars."""
