"""When a group's precision is raised.

q-error (Eq. 4), the share of an update that a store loses, and precision switching by either
(Algorithm 1, lines 14-19).
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
"""A q-error of fewer samples says too little to found a baseline or a decision on."""


def _wider(storage: Storage) -> int:
    return storage.code if storage.wider is None else STORAGES[storage.wider].code


_CODES: Final = {storage.code: _wider(storage) for storage in STORAGES.values()}
_WIDER: Final = np.array([_CODES[code] for code in sorted(_CODES)], dtype=np.uint8)
"""The code of each storage's next wider one; of the widest, its own."""


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["threshold", "sample_ratio", "warmup", "period", "epochs"],
    meta_fields=["unit", "criterion"],
)
@dataclasses.dataclass(frozen=True)
class Switching:
    """Measures an error of groups every so often, and promotes those in which it has grown."""

    unit: Unit
    criterion: str
    threshold: np.float32
    sample_ratio: np.float32
    warmup: np.int32
    period: np.int32
    epochs: np.int32

    @classmethod
    def of(cls, plan: TrainPlan) -> Switching:
        """Return the switching of a method that has one."""
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
        """Return baselines, float32 ``(g,)`` of both tables: NaN, as nothing is measured yet."""
        return {
            name: jnp.full(table.groups, jnp.nan, dtype=jnp.float32)
            for name, table in (("users", users), ("items", items))
        }

    def operands(self, memory: Memory, epoch: jax.Array, before: Operands) -> Operands:
        """Sample ratings in an epoch that measures."""
        measured = measures(epoch, self.warmup, self.period, self.epochs)
        ratio = jnp.where(measured, jnp.asarray(self.sample_ratio), jnp.float32(0))
        return before._replace(sample_ratio=ratio)

    def update(self, memory: Memory, done: Done) -> tuple[Memory, Done]:
        """Measure, and promote groups."""
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
    """Return whether an epoch counted from 0 measures q-error.

    ``warmup`` and every ``period`` from there do, but never the last one, whose decisions nothing
    would use.
    """
    t = epoch.astype(jnp.int32)
    return (t >= warmup) & ((t - warmup) % period == 0) & (t + 1 < epochs)


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
    """Promote to the next wider storage each group whose error has grown past ``threshold``.

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
    return Decision(
        jnp.where(valid & grown, jnp.asarray(_WIDER)[codes], codes),
        jnp.where(valid & jnp.isnan(baseline), error, baseline),
    )
