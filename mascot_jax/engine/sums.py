"""Sums of floating-point numbers that are the same bits on every machine."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def rounded(product: jax.Array) -> jax.Array:
    """Round float32 products to 23 significant bits, so that sums of them are the same everywhere.

    Where the CPU can, XLA's compiler fuses a product and an addition, which skips a rounding.
    Neither a barrier nor rounding to the 24 bits of a float32 prevents that.
    """
    return jax.lax.reduce_precision(product, exponent_bits=8, mantissa_bits=22)


def pairwise_sum(values: jax.Array) -> jax.Array:
    """Sum float32 ``(n, ...)``, n >= 1, over the first axis to float32 ``(...)``.

    One half is added to the other until one number is left. A sum of two numbers is always the
    same; the order of XLA's own sums depends on the width of the CPU's vectors. Adding numbers of
    like size also rounds little: about 1e-7 of a sum of a million numbers of one sign. Products
    must be ``rounded``.
    """
    count = values.shape[0]
    fill = (1 << (count - 1).bit_length()) - count
    values = jnp.pad(values, [(0, fill), *[(0, 0)] * (values.ndim - 1)])
    while half := len(values) // 2:
        values = values[:half] + values[half:]
    return values[0]
