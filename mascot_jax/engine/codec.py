"""Encode factors as stored rows on a device; ``Storage.decode`` decodes them on the host."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mascot_jax.tables.storage import Storage, padded


def encode(storage: Storage, values: jax.Array) -> jax.Array:
    """Encode float32 ``(n, factors)`` as stored rows ``(n, elements)``, rounding to nearest."""
    if not storage.scale_block:
        return values.astype(storage.dtype)
    return _encode_scaled(storage, values)


def _encode_scaled(storage: Storage, values: jax.Array) -> jax.Array:
    """Encode blocks of components with one scale each, bit for bit as the native codec does."""
    rows, factors = values.shape
    width, scales = padded(factors), storage.scales(factors)
    block = min(storage.scale_block, width)
    blocks = jnp.pad(values, ((0, 0), (0, scales * block - factors)))
    blocks = blocks.reshape(rows, scales, block)  # [n, k] -> [n, scales, block]
    bits = jax.lax.bitcast_convert_type(jnp.abs(blocks).max(axis=2) / 127, jnp.uint32)
    # 17 significant bits: encoding a decoded row again gives the same scale.
    scale = jax.lax.bitcast_convert_type((bits + 0x40) & ~jnp.uint32(0x7F), jnp.float32)
    steps = jnp.where(scale > 0, 1 / scale, jnp.float32(0))[:, :, None]
    whole = jnp.rint(blocks * steps).astype(storage.dtype).reshape(rows, scales * block)[:, :width]
    tail = jax.lax.bitcast_convert_type(scale, storage.dtype).reshape(rows, 4 * scales)
    return jnp.concatenate([whole, tail], axis=1)
