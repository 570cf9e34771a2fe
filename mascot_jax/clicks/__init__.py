"""Click data: labels, numbers and categories; readers, encoding by count, a planted generator.

``ClickData`` and reading encoded parts need NumPy and safetensors only; all else needs the extra
``data``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mascot_jax.clicks.data import ClickData

if TYPE_CHECKING:
    from mascot_jax.clicks.encoder import Encoder, Parts
    from mascot_jax.clicks.planted import generate_clicks
    from mascot_jax.clicks.read import encode_like, read_clicks
    from mascot_jax.clicks.store import read_encoder, read_part, write_parts

_HOMES = {
    "Encoder": "encoder",
    "Parts": "encoder",
    "encode_like": "read",
    "generate_clicks": "planted",
    "read_clicks": "read",
    "read_encoder": "store",
    "read_part": "store",
    "write_parts": "store",
}
__all__ = [
    "ClickData",
    "Encoder",
    "Parts",
    "encode_like",
    "generate_clicks",
    "read_clicks",
    "read_encoder",
    "read_part",
    "write_parts",
]

if not TYPE_CHECKING:  # so that type checkers find names that are wrong

    def __getattr__(name: str) -> Any:
        """Import polars when click data is read: encoded data needs none."""
        if name in _HOMES:
            return getattr(import_module(f"mascot_jax.clicks.{_HOMES[name]}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
