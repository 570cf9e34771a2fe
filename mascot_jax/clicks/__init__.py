"""Click data: labels, counts and categories; readers, encoding by count, a planted generator.

``ClickData`` itself needs NumPy only; readers and the encoding need the extra ``data``.
"""

from mascot_jax.clicks.data import ClickData

__all__ = ["ClickData"]
