"""Sizes of arrays on a device: longer than needed, so that one compiled program serves many.

JAX compiles a program for every combination of shapes and keeps it: a second of CPU and megabytes
for each. A CPU's kernels are told how much of an array is used. A GPU's arrays are exact.
"""

from __future__ import annotations

from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import aligned_zeros

SMALL: Final = 1 << 16
"""Sizes up to this one grow by fours: their padding costs little, and their programs as much as any
other's."""
STEPS_PER_OCTAVE: Final = 8
"""Sizes between a power of two and the next, beyond the small ones: padding adds an eighth at
most."""
LEAST_ROWS: Final = 1024
LEAST_RATINGS: Final = 4096
LEAST_GROUPS: Final = 128
"""More than the groups of default settings, and than the ranges of a layout."""


def default_device() -> jax.Device:
    """Return the device that JAX computes on now."""
    return next(iter(jnp.zeros(()).devices()))


def places(count: int, least: int, platform: str | None = None) -> int:
    """Return how long to make an array of ``count`` entries, for JAX's default device if None."""
    if (platform or default_device().platform) != "cpu":
        return count
    return padded_size(count, least)


def padded_size(count: int, least: int) -> int:
    """Return the smallest size that is not below ``count``, of those that arrays have."""
    size = least
    while size < min(count, SMALL):
        size *= 4
    if count <= size:
        return size
    step = (1 << (count - 1).bit_length()) // (2 * STEPS_PER_OCTAVE)
    return -(-count // step) * step


def pad(array: NDArray[Any], size: int) -> NDArray[Any]:
    """Return an array ``(n, ...)`` with zeros behind it, ``(size, ...)``; itself if that long.

    JAX uses the copy's memory without another copy.
    """
    if len(array) == size:
        return array
    padded = aligned_zeros((size, *array.shape[1:]), array.dtype)
    padded[: len(array)] = array
    return padded


def pad_starts(starts: NDArray[np.integer[Any]], platform: str | None = None) -> jax.Array:
    """Return uint32 ``(g + 1,)`` starts of groups or ranges, empty ones behind them on a CPU."""
    fill = places(len(starts) - 1, LEAST_GROUPS, platform) + 1 - len(starts)
    return jnp.asarray(np.pad(starts, (0, fill), "edge").astype(np.uint32))
