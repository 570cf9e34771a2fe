"""Matrix factorisation with quantised factors.

MASCOT on JAX, with native kernels behind XLA's FFI.
"""

import logging
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mascot_jax.dlrm.estimator import ClickModel
    from mascot_jax.mf.estimator import MatrixFactorization

__all__ = ["ClickModel", "MatrixFactorization", "__version__"]
__version__ = version("mascot-jax")
_HOMES = {
    "ClickModel": "mascot_jax.dlrm.estimator",
    "MatrixFactorization": "mascot_jax.mf.estimator",
}
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    """Import JAX and the kernels when they are first needed, not with the package."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'mascot_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
