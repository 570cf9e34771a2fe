"""Data set ``netflix``: the ratings of the Netflix Prize."""

from __future__ import annotations

from mascot_jax.data.formats.netflix import read_netflix
from mascot_jax.data.sets.data_set import DataSet, without_times

NETFLIX = DataSet(
    "netflix",
    None,
    None,
    without_times(read_netflix),
    (1.0, 5.0),
    "For research use under the terms of the Netflix Prize. J. Bennett and S. Lanning, The Netflix "
    "Prize, KDD Cup and Workshop, 2007.",
    "Netflix no longer hands the ratings out. If you hold a copy, set data.source to the folder or "
    "archive with probe.txt and either training_set.tar (or its mv_*.txt) or Kaggle's "
    "combined_data_1.txt to combined_data_4.txt",
)
