"""Click data: labels, numbers and categories; readers, encoding by count, a planted generator.

``ClickData`` and reading encoded parts need NumPy and safetensors only; all else needs the extra
``data``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mascot_jax.clicks.data import ClickData

if TYPE_CHECKING:
    from mascot_jax.clicks.read import encode_like, read_clicks

__all__ = ["ClickData", "encode_like", "read_clicks"]

if not TYPE_CHECKING:  # so that type checkers find names that are wrong

    def __getattr__(name: str) -> Any:
        """Import polars when click data is read: encoded data needs none."""
        if name in __all__:
            return getattr(import_module("mascot_jax.clicks.read"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
