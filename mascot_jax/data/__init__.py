"""Getting ratings: registry, fetching, readers, generator, split.

Needs the extra ``data`` (polars, pooch); nothing outside this package imports it at module level.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mascot_jax.data.load import load_ratings

__all__ = ["load_ratings"]


if not TYPE_CHECKING:  # so that type checkers find names that are wrong

    def __getattr__(name: str) -> Any:
        """Import polars and pooch when ratings are loaded: those of a split need neither."""
        if name == "load_ratings":
            return import_module("mascot_jax.data.load").load_ratings
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
