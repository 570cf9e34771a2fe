"""What workers send one another: gradients of layers and of looked-up rows, rounded or not.

Rounded numbers are multiples of a scale that all workers share, the mean of their own: the largest
magnitude in an output channel, or in the rows of a field, over 127 or 7. So shared, whole numbers
can be added up; a worker whose own scale is larger cuts off. Workers send their own in bfloat16,
and numbers of rows in few bits (``row_bits``).
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import jax
import jax.numpy as jnp

from mascot_jax.dlrm.network import Layers
from mascot_jax.dlrm.row_bits import RowBits
from mascot_jax.engine.embedding import coalesce
from mascot_jax.engine.kernels import Execution

AXIS: Final = "workers"
_LEVELS: Final = {"int8": 127, "int4": 7}
_NUMBER_BYTES: Final = 4
_SCALE_BYTES: Final = 2


class Exchange(NamedTuple):
    """How gradients are sent; hashable, static under jit."""

    gradients: str
    """``float32``, ``int8`` or ``int4``."""
    compensation: str
    """``none``, ``local`` or ``paper``: what a worker adds to its next gradients of layers."""
    row_bits: RowBits
    """How numbers of rows are sent with rounded gradients."""


def exchange_layers(
    exchange: Exchange, gradients: Layers, residual: Layers
) -> tuple[Layers, Layers]:
    """Return the workers' mean gradients, and what this worker adds to its next ones.

    Within ``jax.shard_map``. With the compensation ``local``, what all workers applied and what
    they keep add up to their gradients and what they kept before.
    """
    if exchange.gradients == "float32":
        return jax.lax.pmean(gradients, AXIS), residual
    leaves, structure = jax.tree.flatten(gradients)
    kept = jax.tree.leaves(residual)
    pairs = [_exchange_one(exchange, g, r) for g, r in zip(leaves, kept, strict=True)]
    means, rest = zip(*pairs, strict=True)
    return jax.tree.unflatten(structure, means), jax.tree.unflatten(structure, rest)


def _exchange_one(
    exchange: Exchange, gradient: jax.Array, residual: jax.Array
) -> tuple[jax.Array, jax.Array]:
    levels = _LEVELS[exchange.gradients]
    wanted = gradient + residual
    # Of a weight (in, out), an output channel has a scale; all of a bias share one.
    largest = jnp.abs(wanted).max(0, keepdims=True)
    scale = _shared(largest, levels)
    whole = jnp.clip(jnp.round(wanted / scale), -levels, levels)
    sent = whole.astype(jnp.int8)
    every = jax.lax.all_gather(pack(exchange.gradients, sent), AXIS)
    total = jax.vmap(lambda one: unpack(exchange.gradients, one, sent.shape))(every)
    mean = total.astype(jnp.float32).mean(0) * scale
    if exchange.compensation == "none":
        return mean, residual
    return mean, wanted - (whole * scale if exchange.compensation == "local" else mean)


def exchange_rows(
    exchange: Exchange,
    rows: jax.Array,
    gradients: jax.Array,
    key: jax.Array,
    execution: Execution,
) -> tuple[jax.Array, jax.Array]:
    """Return rows and gradients of all workers' impressions, divided by the number of workers.

    Within ``jax.shard_map``.

    Parameters
    ----------
    exchange
        ``int8`` rounds to nearest, as the paper does; ``int4`` stochastically. Both first sum the
        gradients of a worker's equal rows.
    rows
        uint32 ``(b, f)``.
    gradients
        float32 ``(b, f, d)``.
    key
        Of random numbers: this worker's, of this step.
    execution
        Of the kernel that sums.
    """
    workers = jax.lax.axis_size(AXIS)
    if exchange.gradients == "float32":
        every_row = jax.lax.all_gather(rows, AXIS, tiled=True)
        return every_row, jax.lax.all_gather(gradients, AXIS, tiled=True) / workers
    packed = jax.lax.all_gather(exchange.row_bits.pack(rows), AXIS)
    each_row = jax.vmap(lambda one: exchange.row_bits.unpack(one, len(rows)))(packed)
    levels = _LEVELS[exchange.gradients]
    sums = coalesce(rows, gradients, execution=execution)
    scale = _shared(jnp.abs(sums).max((0, 2))[None, :, None], levels)
    offset = (
        jax.random.uniform(key, sums.shape) if exchange.gradients == "int4" else jnp.float32(0.5)
    )
    whole = jnp.clip(jnp.floor(sums / scale + offset), -levels, levels).astype(jnp.int8)
    every = jax.lax.all_gather(pack(exchange.gradients, whole), AXIS)
    total = jax.vmap(lambda one: unpack(exchange.gradients, one, whole.shape))(every)
    dequantised = total.reshape(-1, *whole.shape[1:]).astype(jnp.float32) * scale
    return each_row.reshape(-1, rows.shape[1]), dequantised / workers


def _shared(largest: jax.Array, levels: int) -> jax.Array:
    every = jax.lax.all_gather(largest.astype(jnp.bfloat16), AXIS)
    mean = every.astype(jnp.float32).mean(0)
    scale: jax.Array = jnp.where(mean > 0, mean, jnp.float32(1)) / jnp.float32(levels)
    return scale


def pack(kind: str, whole: jax.Array) -> jax.Array:
    """Return int8 numbers as they are sent: for ``int4``, two from -7 to 7 in a byte, flat."""
    if kind == "int8":
        return whole
    flat = jnp.pad(whole.reshape(-1), (0, whole.size % 2)) + jnp.int8(8)
    halves = flat.astype(jnp.uint8).reshape(-1, 2)
    packed: jax.Array = halves[:, 0] | halves[:, 1] << jnp.uint8(4)
    return packed


def unpack(kind: str, sent: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Return the int8 numbers of a shape that ``pack`` packed."""
    if kind == "int8":
        return sent
    halves = jnp.stack([sent & jnp.uint8(15), sent >> jnp.uint8(4)], 1).reshape(-1)
    whole: jax.Array = halves[: math.prod(shape)].astype(jnp.int8) - jnp.int8(8)
    return whole.reshape(shape)


def sent_bytes(exchange: Exchange, layers: Layers, lookups: tuple[int, int], dimension: int) -> int:
    """Return the bytes that a worker hands over in a step: numbers of rows, gradients, scales.

    ``lookups`` are the impressions of a worker and the fields.
    """
    kind = exchange.gradients
    batch, fields = lookups
    count = batch * fields
    leaves = jax.tree.leaves(layers)
    total = _payload(kind, count * dimension) + sum(_payload(kind, leaf.size) for leaf in leaves)
    if kind == "float32":
        return total + _NUMBER_BYTES * count
    scales = fields + sum(leaf.shape[1] if leaf.ndim == 2 else 1 for leaf in leaves)
    return total + exchange.row_bits.nbytes(batch) + _SCALE_BYTES * scales


def _payload(kind: str, count: int) -> int:
    return {"float32": 4 * count, "int8": count, "int4": -(-count // 2)}[kind]
