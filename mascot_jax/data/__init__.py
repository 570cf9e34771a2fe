"""Getting ratings: registry, fetching, readers, generator, split.

Needs the extra ``data`` (polars, pooch); nothing outside this package imports it at module level.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mascot_jax.data.load import load_ratings
    from mascot_jax.data.read import open_ratings, read_ratings

__all__ = ["load_ratings", "open_ratings", "read_ratings"]

_MODULES = {
    "load_ratings": "mascot_jax.data.load",
    "open_ratings": "mascot_jax.data.read",
    "read_ratings": "mascot_jax.data.read",
}

if not TYPE_CHECKING:  # so that type checkers find names that are wrong

    def __getattr__(name: str) -> Any:
        """Import polars and pooch when ratings are read: those of a split need neither."""
        if name in _MODULES:
            return getattr(import_module(_MODULES[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
