"""Sums of floating-point numbers that are the same bits on every machine."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def rounded(product: jax.Array) -> jax.Array:
    """Round float32 products to 23 significant bits, so that adding to them is an addition.

    XLA's compiler fuses a product and an addition where the CPU can, which skips a rounding, and
    heeds neither a barrier nor a rounding to the 24 bits of a float32.
    """
    return jax.lax.reduce_precision(product, exponent_bits=8, mantissa_bits=22)


def pairwise_sum(values: jax.Array) -> jax.Array:
    """Sum over the first axis, float32 ``(n, ...)``, n >= 1, to float32 ``(...)``.

    One half is added to the other until one number is left. XLA's own sums are in an order that the
    width of the CPU's vectors decides; of two numbers there is one sum only. Adding like to like
    also rounds away little: about 1e-7 of a sum of a million numbers of one sign. Products must be
    ``rounded``.
    """
    count = values.shape[0]
    fill = (1 << (count - 1).bit_length()) - count
    values = jnp.pad(values, [(0, fill), *[(0, 0)] * (values.ndim - 1)])
    while half := len(values) // 2:
        values = values[:half] + values[half:]
    return values[0]
