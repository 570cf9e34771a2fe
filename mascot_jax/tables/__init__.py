"""Factors whose groups of rows each have a precision.

Free of JAX, as settings are checked against storages before anything heavy is imported: for tables
on a device see ``tables.table``.
"""

from mascot_jax.tables.groups import Grouping, regroup
from mascot_jax.tables.rows import Rows
from mascot_jax.tables.storage import STORAGES, Storage

__all__ = ["STORAGES", "Grouping", "Rows", "Storage", "regroup"]
