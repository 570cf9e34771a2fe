"""What users and items are called, and the index of each."""

from mascot_jax.ids.table import IdTable, index_ids
from mascot_jax.ids.values import as_column

__all__ = ["IdTable", "as_column", "index_ids"]
