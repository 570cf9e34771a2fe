"""Matrix factorisation with quantised factors.

MASCOT on JAX, with native kernels behind XLA's FFI.
"""

import logging
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mascot_jax.mf.estimator import MatrixFactorization

__all__ = ["MatrixFactorization", "__version__"]
__version__ = version("mascot-jax")
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    """Import JAX and the kernels when they are first needed, not with the package."""
    if name == "MatrixFactorization":
        return import_module("mascot_jax.mf.estimator").MatrixFactorization
    raise AttributeError(f"module 'mascot_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
