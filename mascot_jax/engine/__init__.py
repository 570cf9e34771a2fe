"""What runs on a device: the native kernels as JAX functions, and what they work on."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mascot_jax.engine.devices import choose_device
    from mascot_jax.engine.kernels import Execution
    from mascot_jax.engine.prediction import predict
    from mascot_jax.engine.ratings import Ratings, make_ratings

__all__ = ["Execution", "Ratings", "choose_device", "make_ratings", "predict"]

_HOMES = {
    "Execution": "kernels",
    "Ratings": "ratings",
    "choose_device": "devices",
    "make_ratings": "ratings",
    "predict": "prediction",
}

if not TYPE_CHECKING:  # so that type checkers find names that are wrong

    def __getattr__(name: str) -> Any:
        """Import a name when it is used: stages without kernels only ask ``native`` if it fits."""
        if name in _HOMES:
            return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
