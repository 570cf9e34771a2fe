"""When a group's precision is raised.

q-error (Eq. 4), the share of an update that a store loses, and precision switching by either
(Algorithm 1, lines 14-19).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from mascot_jax.engine.sums import pairwise_sum, rounded
from mascot_jax.tables.storage import FLOAT32

GRADIENT_DIVERSITY: Final = "gradient-diversity"
LOST_UPDATE: Final = "lost-update"

LEAST_SAMPLES: Final = 32
"""A q-error of fewer samples says too little to found a baseline or a decision on."""


class Sums(NamedTuple):
    """Per-group sums over sampled ratings, g groups and k factors (``kernels.run_epoch``)."""

    gradient: jax.Array
    """float32 ``(g, k)``."""
    squared_norms: jax.Array
    """float32 ``(g,)``: of the gradients."""
    samples: jax.Array
    """float32 ``(g,)``: how many."""
    lost: jax.Array
    """float32 ``(g,)``: squared norm of what the stores' rounding changed."""
    whole: jax.Array
    """float32 ``(g,)``: squared norm of the updates."""


def unpack_sums(sums: jax.Array) -> Sums:
    """Split the kernel's float32 ``(g, k + 4)``: behind the gradients, a column per statistic."""
    factors = sums.shape[1] - len(Sums._fields) + 1
    return Sums(sums[:, :factors], *(sums[:, column] for column in range(factors, sums.shape[1])))


def pool(sums: Sums) -> Sums:
    """Give every group the sums of its whole side: the side is judged as one (MASCOT-N2)."""
    return Sums(*(jnp.broadcast_to(pairwise_sum(s), s.shape) for s in sums))


def q_error(sums: Sums) -> jax.Array:
    """Return Eq. 4, the inverse gradient diversity: |sum of gradients|^2 / sum of |gradient|^2.

    float32 ``(g,)``; from 0 (the gradients cancel) to the number of samples (all alike). NaN where
    no gradient was sampled, or all were zero. It does not depend on the gradients' scale.
    """
    return pairwise_sum(rounded(jnp.square(sums.gradient)).T) / sums.squared_norms


def lost_update(sums: Sums) -> jax.Array:
    """Return what the stores lose: |stored - computed|^2 summed / |update|^2 summed.

    float32 ``(g,)``; 0 where every new row fits, 1 where rounding to nearest drops every update. By
    stochastic rounding no update is lost on average; it is then the noise's power against the
    update's, above 1 where updates are below an ulp. NaN where nothing was sampled, or no row would
    have changed.
    """
    return sums.lost / sums.whole


def measure(sums: Sums, criterion: str) -> jax.Array:
    """Return each group's error, float32 ``(g,)``, by the criterion of that name."""
    return {GRADIENT_DIVERSITY: q_error, LOST_UPDATE: lost_update}[criterion](sums)


class Decision(NamedTuple):
    """New group codes uint8 ``(g,)`` and baselines float32 ``(g,)``."""

    codes: jax.Array
    baseline: jax.Array


def decide(
    codes: jax.Array,
    baseline: jax.Array,
    error: jax.Array,
    count: jax.Array,
    threshold: ArrayLike,
    criterion: str = GRADIENT_DIVERSITY,
) -> Decision:
    """Promote by one storage each group whose error has grown past ``threshold``.

    From int8 to float16, from float16 to float32.

    A group's baseline is its first error from at least 32 samples; a measurement from fewer changes
    nothing. Promotion is never undone.

    Parameters
    ----------
    codes
        uint8 ``(g,)``: storages now.
    baseline
        float32 ``(g,)``: NaN where there is none yet.
    error
        float32 ``(g,)``: just measured.
    count
        float32 ``(g,)``: samples that each is made of.
    threshold
        float32 ``()``: the paper's theta.
    criterion
        What the errors are. A q-error is compared with ``threshold`` times its baseline, which the
        first one founds and so cannot exceed; a lost update with ``threshold`` itself.
    """
    valid = (count >= LEAST_SAMPLES) & ~jnp.isnan(error)
    limit = baseline * threshold if criterion == GRADIENT_DIVERSITY else threshold
    grown = error > limit  # false while the baseline is NaN
    promoted = valid & grown & (codes > FLOAT32.code)
    return Decision(
        jnp.where(promoted, codes - jnp.uint8(1), codes),
        jnp.where(valid & jnp.isnan(baseline), error, baseline),
    )
