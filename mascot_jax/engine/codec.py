"""Encode factors as stored rows on a device, and decode them.

``Storage.decode`` decodes on the host.
"""

from __future__ import annotations

from typing import Final

import jax
import jax.numpy as jnp

from mascot_jax.tables.storage import Storage, padded

_SMALLEST_BLOCK: Final = 2.0**-100
"""Blocks of an int8 row whose components are all smaller become zeros (``ffi/core/storages``)."""


def encode(storage: Storage, values: jax.Array, draws: jax.Array | None = None) -> jax.Array:
    """Encode float32 ``(n, factors)`` as stored rows ``(n, elements)``.

    Parameters
    ----------
    storage
        Storage of the rows.
    values
        float32 ``(n, factors)``.
    draws
        uint32 ``(n, factors)``, random bits for stochastic rounding, as the kernels do it
        (``ffi/core/storages``); None: round to nearest.
    """
    if storage.scale_block:
        return _encode_scaled(storage, values, draws)
    if draws is not None and storage.dtype.itemsize < values.dtype.itemsize:
        # Float16 keeps all but the lowest 13 bits; those of the draw decide which way they go.
        bits = jax.lax.bitcast_convert_type(values, jnp.uint32) + (draws >> 19)
        values = jax.lax.bitcast_convert_type(bits & jnp.uint32(0xFFFF_E000), jnp.float32)
    return values.astype(storage.dtype)


def decode(storage: Storage, rows: jax.Array, factors: int) -> jax.Array:
    """Decode stored rows ``(n, stride)`` to float32 ``(n, factors)``."""
    values = rows[:, :factors].astype(jnp.float32)
    if not storage.scale_block:
        return values
    width, scales = padded(factors), storage.scales(factors)
    tail = rows[:, width : width + 4 * scales].reshape(len(rows), scales, 4)
    scale = jax.lax.bitcast_convert_type(tail, jnp.float32)  # [n, scales]
    block = min(storage.scale_block, width)
    return values * jnp.repeat(scale, block, axis=1)[:, :factors]


def _encode_scaled(storage: Storage, values: jax.Array, draws: jax.Array | None) -> jax.Array:
    """Encode blocks of components with one scale each.

    Rounding to nearest, it does what the native codec does but for values that are halfway between
    two steps, or within float32's precision of that: those go to the even one here, up there.
    """
    rows, factors = values.shape
    width, scales = padded(factors), storage.scales(factors)
    block = min(storage.scale_block, width)

    def in_blocks(array: jax.Array) -> jax.Array:  # [n, k] -> [n, scales, block]
        array = jnp.pad(array, ((0, 0), (0, scales * block - factors)))
        return array.reshape(rows, scales, block)

    blocks = in_blocks(values)
    largest = jnp.abs(blocks).max(axis=2)
    bits = jax.lax.bitcast_convert_type(largest / 127, jnp.uint32)
    # 17 significant bits: encoding a decoded row again gives the same scale.
    scale = jax.lax.bitcast_convert_type((bits + 0x40) & ~jnp.uint32(0x7F), jnp.float32)
    scale = jnp.where(largest < _SMALLEST_BLOCK, jnp.float32(0), scale)
    steps = blocks * jnp.where(scale > 0, 1 / scale, jnp.float32(0))[:, :, None]
    if draws is None:
        whole = jnp.rint(steps)
    else:
        # The middle of one of 2^13 parts of a step: a whole number stays as it is.
        part = (in_blocks(draws) >> 19).astype(jnp.float32) + 0.5
        whole = jnp.floor(steps + part / 2**13).clip(-127, 127)
    components = whole.astype(storage.dtype).reshape(rows, scales * block)[:, :width]
    tail = jax.lax.bitcast_convert_type(scale, storage.dtype).reshape(rows, 4 * scales)
    return jnp.concatenate([components, tail], axis=1)
