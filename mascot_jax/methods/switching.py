"""Precision switching (Algorithm 1, lines 14-19): promote groups whose error has grown.

The error is the q-error (Eq. 4), or the share of updates that stores lose.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from mascot_jax.engine import kernels
from mascot_jax.engine.state import Memory
from mascot_jax.engine.sums import pairwise_sum, rounded
from mascot_jax.methods.method import Done, Judged, Operands
from mascot_jax.settings import TrainPlan
from mascot_jax.settings.methods import Unit
from mascot_jax.tables.storage import STORAGES, Storage
from mascot_jax.tables.table import Table

GRADIENT_DIVERSITY: Final = "gradient-diversity"
LOST_UPDATE: Final = "lost-update"

LEAST_SAMPLES: Final = 32
"""Fewest samples of an error for it to set a baseline or to decide on a promotion."""


def _wider(storage: Storage) -> int:
    return storage.code if storage.wider is None else STORAGES[storage.wider].code


_CODES: Final = {storage.code: _wider(storage) for storage in STORAGES.values()}
_WIDER: Final = np.array([_CODES[code] for code in sorted(_CODES)], dtype=np.uint8)
"""Code of the next wider storage, by code; the widest storage has its own."""


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["threshold", "sample_ratio", "warmup", "period", "epochs"],
    meta_fields=["unit", "criterion"],
)
@dataclasses.dataclass(frozen=True)
class Switching:
    """Measurement of each group's error at intervals, and promotion where it has grown."""

    unit: Unit
    criterion: str
    threshold: np.float32
    sample_ratio: np.float32
    warmup: np.int32
    period: np.int32
    epochs: np.int32

    @classmethod
    def of(cls, plan: TrainPlan) -> Switching:
        """Return the switching of a plan whose method has one."""
        assert plan.criterion is not None
        assert plan.threshold is not None
        assert plan.sample_ratio is not None
        assert plan.warmup is not None
        assert plan.period is not None
        return cls(
            plan.unit,
            plan.criterion,
            np.float32(plan.threshold),
            np.float32(plan.sample_ratio),
            np.int32(plan.warmup),
            np.int32(plan.period),
            np.int32(plan.epochs),
        )

    def init(self, users: Table, items: Table) -> Memory:
        """Return both tables' baselines, float32 ``(g,)``: NaN, as nothing is measured yet."""
        return {
            name: jnp.full(table.groups, jnp.nan, dtype=jnp.float32)
            for name, table in (("users", users), ("items", items))
        }

    def operands(self, memory: Memory, epoch: jax.Array, before: Operands) -> Operands:
        """Set the sample ratio, which is 0 in an epoch that does not measure."""
        measured = measures(epoch, self.warmup, self.period, self.epochs)
        ratio = jnp.where(measured, jnp.asarray(self.sample_ratio), jnp.float32(0))
        return before._replace(sample_ratio=ratio)

    def update(self, memory: Memory, done: Done) -> tuple[Memory, Done]:
        """Measure errors, and promote groups."""
        users, user_judged = self._judge(done.users, memory["users"], done.sums[0], done.execution)
        items, item_judged = self._judge(done.items, memory["items"], done.sums[1], done.execution)
        memory = {"users": user_judged.baseline, "items": item_judged.baseline}
        return memory, done._replace(users=users, items=items, judged=(user_judged, item_judged))

    def _judge(
        self, table: Table, baseline: jax.Array, raw_sums: jax.Array, execution: kernels.Execution
    ) -> tuple[Table, Judged]:
        sums = unpack_sums(raw_sums)
        sums = pool(sums) if self.unit is Unit.SIDE else sums
        error = measure(sums, self.criterion)
        new = decide(table.codes, baseline, error, sums.samples, self.threshold, self.criterion)
        table = kernels.promote(table, new.codes, execution=execution)
        return table, Judged(error, new.baseline)


def measures(
    epoch: jax.Array, warmup: ArrayLike, period: ArrayLike, epochs: ArrayLike
) -> jax.Array:
    """Return whether an epoch, counted from 0, measures errors.

    Epoch ``warmup`` and every ``period``-th after it do, but never the last epoch, whose decisions
    nothing would use.
    """
    t = epoch.astype(jnp.int32)
    return (t >= warmup) & ((t - warmup) % period == 0) & (t + 1 < epochs)


class Sums(NamedTuple):
    """Per-group sums over sampled ratings; g groups, k factors (``kernels.run_epoch``)."""

    gradient: jax.Array
    """float32 ``(g, k)``."""
    squared_norms: jax.Array
    """float32 ``(g,)``: squared norms of the gradients."""
    samples: jax.Array
    """float32 ``(g,)``: number of samples."""
    lost: jax.Array
    """float32 ``(g,)``: squared norms of the rounding errors of stores."""
    whole: jax.Array
    """float32 ``(g,)``: squared norms of the updates."""


def unpack_sums(sums: jax.Array) -> Sums:
    """Split the kernel's float32 ``(g, k + 4)`` into the gradients and a column per statistic."""
    factors = sums.shape[1] - len(Sums._fields) + 1
    return Sums(sums[:, :factors], *(sums[:, column] for column in range(factors, sums.shape[1])))


def pool(sums: Sums) -> Sums:
    """Give every group the sums of its whole side, which is judged as one (MASCOT-N2)."""
    return Sums(*(jnp.broadcast_to(pairwise_sum(s), s.shape) for s in sums))


def q_error(sums: Sums) -> jax.Array:
    """Return the q-error (Eq. 4), the inverse gradient diversity, float32 ``(g,)``.

    It is |sum of gradients|^2 / sum of |gradient|^2: from 0 (the gradients cancel) to the number of
    samples (all are equal). It is NaN if no gradient was sampled, or all were zero. It does not
    depend on the gradients' scale.
    """
    return pairwise_sum(rounded(jnp.square(sums.gradient)).T) / sums.squared_norms


def lost_update(sums: Sums) -> jax.Array:
    """Return the share of updates that stores lose, float32 ``(g,)``.

    It is sum of |stored - computed|^2 / sum of |update|^2: 0 if every new row is stored exactly, 1
    if rounding to nearest drops every update. Stochastic rounding loses no update on average; the
    result is then the noise's power over the update's, above 1 if updates are below an ulp. It is
    NaN if nothing was sampled, or no row would have changed.
    """
    return sums.lost / sums.whole


def measure(sums: Sums, criterion: str) -> jax.Array:
    """Return each group's error by the named criterion, float32 ``(g,)``."""
    return {GRADIENT_DIVERSITY: q_error, LOST_UPDATE: lost_update}[criterion](sums)


class Decision(NamedTuple):
    """New group codes, uint8 ``(g,)``, and baselines, float32 ``(g,)``."""

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
    """Promote each group whose error has grown past its limit to the next wider storage.

    A group's baseline is its first error from at least 32 samples; an error from fewer changes
    nothing. Promotion is never undone.

    Parameters
    ----------
    codes
        uint8 ``(g,)``: current storages.
    baseline
        float32 ``(g,)``: NaN if there is none yet.
    error
        float32 ``(g,)``: errors just measured.
    count
        float32 ``(g,)``: number of samples of each error.
    threshold
        float32 ``()``: the paper's theta.
    criterion
        Kind of the errors. The limit of a q-error is ``threshold`` times its baseline; the first
        one sets the baseline and so cannot exceed it. The limit of a lost update is ``threshold``
        itself.
    """
    valid = (count >= LEAST_SAMPLES) & ~jnp.isnan(error)
    limit = baseline * threshold if criterion == GRADIENT_DIVERSITY else threshold
    grown = error > limit  # false while the baseline is NaN
    return Decision(
        jnp.where(valid & grown, jnp.asarray(_WIDER)[codes], codes),
        jnp.where(valid & jnp.isnan(baseline), error, baseline),
    )
