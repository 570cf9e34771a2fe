"""The layers of a DLRM around its tables, as functions of their weights.

Dense inputs go through the bottom layers to one more vector of the tables' dimension; the inner
products of all pairs of vectors, and that vector, go through the top layers to a logit (Naumov et
al., 2019). Without dense inputs there are no bottom layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from mascot_jax.settings.clicks import ClickSettings

Layer = dict[str, jax.Array]
"""``weight`` float32 ``(in, out)`` and ``bias`` float32 ``(out,)``."""
Layers = dict[str, list[Layer]]
"""``bottom`` and ``top``."""


def widths(settings: ClickSettings, dense: int, fields: int) -> dict[str, list[int]]:
    """Return the widths of the bottom and the top layers, inputs included."""
    vectors = fields + (dense > 0)
    pairs = vectors * (vectors - 1) // 2
    own = settings.dimension if dense else 0
    return {
        "bottom": [dense, *settings.bottom, settings.dimension] if dense else [],
        "top": [own + pairs, *settings.top, 1],
    }


def initial_layers(settings: ClickSettings, dense: int, fields: int) -> Layers:
    """Return weights and biases as DLRM's own code draws them.

    Normal, of variance ``2 / (in + out)`` for weights and ``1 / out`` for biases.
    """
    rng = np.random.default_rng([settings.seed, 1])

    def normal(shape: tuple[int, ...], variance: float) -> jax.Array:
        return jnp.asarray(rng.standard_normal(shape, np.float32) * np.float32(variance**0.5))

    return {
        name: [
            {"weight": normal((a, b), 2 / (a + b)), "bias": normal((b,), 1 / b)}
            for a, b in pairwise(sizes)
        ]
        for name, sizes in widths(settings, dense, fields).items()
    }


def logits(layers: Layers, vectors: jax.Array, dense: jax.Array, bits: int | None) -> jax.Array:
    """Return float32 ``(b,)`` logits.

    Parameters
    ----------
    layers
        The weights.
    vectors
        float32 ``(b, f, d)``: looked-up rows.
    dense
        float32 ``(b, dense inputs)``.
    bits
        Bits that weights are rounded to; None: as they are.
    """
    inputs = []
    if layers["bottom"]:
        bottom = _perceptron(layers["bottom"], dense, bits, last_is_linear=False)
        vectors = jnp.concatenate([bottom[:, None], vectors], 1)
        inputs = [bottom]
    inputs.append(interactions(vectors))
    top = _perceptron(layers["top"], jnp.concatenate(inputs, 1), bits, last_is_linear=True)
    return top[:, 0]


@jax.custom_vjp
def interactions(vectors: jax.Array) -> jax.Array:
    """Return the inner products of all pairs of vectors ``(b, v, d)``: ``(b, v (v - 1) / 2)``.

    The gradient is made by a gather and a product: JAX's own would scatter, which takes a CPU six
    times as long (2,048 impressions of 27 vectors).
    """
    products = jnp.einsum("bid,bjd->bij", vectors, vectors)
    i, j = np.tril_indices(vectors.shape[1], -1)
    return products[:, i, j]


def _forward(vectors: jax.Array) -> tuple[jax.Array, jax.Array]:
    return interactions(vectors), vectors


def _backward(vectors: jax.Array, gradient: jax.Array) -> tuple[jax.Array]:
    count = vectors.shape[1]
    i, j = np.tril_indices(count, -1)
    place = np.full((count, count), len(i))  # of a pair; of none: behind the last
    place[i, j] = place[j, i] = np.arange(len(i))
    of_pairs = jnp.pad(gradient, ((0, 0), (0, 1)))[:, place]
    return (jnp.einsum("bij,bjd->bid", of_pairs, vectors),)


interactions.defvjp(_forward, _backward)


def log_loss(logit: jax.Array, labels: jax.Array) -> jax.Array:
    """Return the mean log loss, float32 ``()``, of logits and labels 0 or 1, ``(b,)`` each."""
    return jnp.mean(jnp.logaddexp(jnp.float32(0), logit) - labels.astype(jnp.float32) * logit)


def _perceptron(
    layers: Sequence[Layer], x: jax.Array, bits: int | None, *, last_is_linear: bool
) -> jax.Array:
    for number, layer in enumerate(layers, 1):
        weight = layer["weight"] if bits is None else _rounded(layer["weight"], bits)
        x = x @ weight + layer["bias"][None, :]
        if number < len(layers) or not last_is_linear:
            x = jax.nn.relu(x)
    return x


def _rounded(weight: jax.Array, bits: int) -> jax.Array:
    """Return weights rounded to multiples of a scale for each output channel.

    The gradient passes as if they were not (the straight-through estimator).
    """
    levels = jnp.float32(2 ** (bits - 1) - 1)
    largest = jnp.abs(weight).max(0, keepdims=True)
    scale = jnp.where(largest > 0, largest, jnp.float32(1)) / levels
    rounded = jnp.clip(jnp.round(weight / scale), -levels - 1, levels) * scale
    through: jax.Array = weight + jax.lax.stop_gradient(rounded - weight)
    return through
