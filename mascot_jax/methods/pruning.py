"""Pruned training: what happens between two epochs when pruning begins (docs/pruning.md)."""

from __future__ import annotations

from functools import partial
from typing import Final

import jax
import jax.numpy as jnp
import numpy as np

from mascot_jax.engine import early_exit, projection, projection_in_jax
from mascot_jax.engine.early_exit import NAME, thresholds_of
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.ratings import Ratings
from mascot_jax.engine.state import TrainState
from mascot_jax.engine.tables import to_host
from mascot_jax.settings import TrainPlan
from mascot_jax.tables.table import Table

SAMPLED: Final = 1 << 16
"""Ratings, evenly spread, whose visited components are counted."""


def is_due(plan: TrainPlan, epochs: int) -> bool:
    """Return whether pruning begins after so many epochs."""
    return plan.pruning is not None and epochs == plan.pruning.begins(plan.epochs)


def begin(state: TrainState, ratings: Ratings, plan: TrainPlan, execution: Execution) -> TrainState:
    """Return the state that the first pruned epoch starts from; the old one's tables are freed.

    Groups keep their storages, and other methods their memories.
    """
    assert plan.pruning is not None
    if plan.pruning.factors is not None:
        return _project(state, ratings, plan, plan.pruning.factors, execution)
    assert plan.pruning.rate is not None
    return _rearrange(state, plan.pruning.rate)


def visited(state: TrainState, ratings: Ratings, execution: Execution) -> float | None:
    """Return the share of components that updates visit; None if none of them ends early.

    It is that of a sample of the ratings, at the factors of this state.
    """
    if NAME not in state.methods:
        return None
    if thresholds_of(state) is None:
        return 1.0
    count = len(ratings)
    chosen = np.arange(min(count, SAMPLED), dtype=np.int64) * count // min(count, SAMPLED)
    _, stops = early_exit.predict_to_stop(
        jnp.asarray(ratings.users)[chosen],
        jnp.asarray(ratings.items)[chosen],
        state.users,
        state.items,
        state.methods[NAME]["thresholds"],
        execution=execution,
    )
    return float(np.asarray(stops).mean(dtype=np.float64)) / state.users.factors


def native(ratings: Ratings) -> bool:
    """Return whether the native kernels project, which a CPU alone has; JAX does, elsewhere."""
    return ratings.platform == "cpu"


def _project(
    state: TrainState, ratings: Ratings, plan: TrainPlan, kept: int, execution: Execution
) -> TrainState:
    joint_basis, project = projection_in_jax.joint_basis, projection_in_jax.project
    if native(ratings):
        joint_basis = partial(projection.joint_basis, execution=execution)
        project = partial(projection.project, execution=execution)
    basis = joint_basis(ratings, state.users, state.items, kept=kept)

    def projected(table: Table, *, of_items: bool) -> Table:
        new = project(
            table, basis, state.seed, state.epoch, of_items=of_items, rounding=plan.rounding
        )
        return _instead_of(table, new)

    users = projected(state.users, of_items=False)  # one side after the other: less memory
    return state._replace(users=users, items=projected(state.items, of_items=True))


def _rearrange(state: TrainState, rate: float) -> TrainState:
    """Find the thresholds, and move the components that are rarely near zero to the front."""
    sides = [to_host(table) for table in (state.users, state.items)]
    thresholds = [early_exit.threshold_of(rate, early_exit.moments_of(rows)) for rows in sides]
    order = early_exit.rearrangement(*map(early_exit.sparsity, sides, thresholds))
    del sides
    users, items = (
        _instead_of(table, early_exit.rearranged(table, order))
        for table in (state.users, state.items)
    )
    memory = {"thresholds": jnp.array(thresholds, dtype=jnp.float32)}
    return state._replace(users=users, items=items, methods={**state.methods, NAME: memory})


def _instead_of(old: Table, new: Table) -> Table:
    """Return the new table once it is there, and free the old one."""
    jax.block_until_ready(new)
    for array in old.stored.values():
        array.delete()
    return new
