"""Matrix factorisation with quantised factors.

MASCOT on JAX, with native kernels behind XLA's FFI.
"""

from importlib.metadata import version

__version__ = version("mascot-jax")
