"""Pruned training: what happens between two epochs when pruning begins (docs/pruning.md)."""

from __future__ import annotations

import jax

from mascot_jax.engine import projection
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.ratings import Ratings
from mascot_jax.engine.state import TrainState
from mascot_jax.settings import TrainPlan
from mascot_jax.tables.table import Table


def is_due(plan: TrainPlan, epochs: int) -> bool:
    """Return whether pruning begins after so many epochs."""
    return plan.pruning is not None and epochs == plan.pruning.begins(plan.epochs)


def begin(state: TrainState, ratings: Ratings, plan: TrainPlan, execution: Execution) -> TrainState:
    """Return the state that the first pruned epoch starts from; the old one's tables are freed.

    Groups keep their storages, and methods their memories.
    """
    assert plan.pruning is not None
    assert plan.pruning.factors is not None
    users, items = state.users, state.items
    basis = projection.joint_basis(
        ratings, users, items, kept=plan.pruning.factors, execution=execution
    )

    def projected(table: Table, *, of_items: bool) -> Table:
        new: Table = projection.project(
            table,
            basis,
            state.seed,
            state.epoch,
            of_items=of_items,
            rounding=plan.rounding,
            execution=execution,
        )
        jax.block_until_ready(new)
        for array in table.stored.values():  # one side after the other: less memory
            array.delete()
        return new

    users = projected(users, of_items=False)
    return state._replace(users=users, items=projected(items, of_items=True))
