"""A training state that starts from an earlier model, whose rows may differ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mascot_jax.engine.state import TrainState
from mascot_jax.engine.tables import encoded, to_device, to_host
from mascot_jax.mf.model import Model, ModelSide
from mascot_jax.settings import TrainPlan
from mascot_jax.tables.groups import Grouping
from mascot_jax.tables.table import Table
from mascot_jax.training.initial import initial_state


def warm_state(
    earlier: Model,
    users: Grouping,
    items: Grouping,
    earlier_users: NDArray[np.int64],
    earlier_items: NDArray[np.int64],
    plan: TrainPlan,
) -> TrainState:
    """Return a state in which known rows have the earlier model's factors.

    Other rows have the random factors of a new training, without heads. Epochs, and so step
    sizes, start from 0 again. If the method promotes groups, a group begins in the most precise
    storage that any of its known rows was in, so that nothing is lost, but in none less precise
    than the method's first; errors are measured anew. Other methods store every row in their
    only storage.

    Parameters
    ----------
    earlier
        A model with as many factors.
    users, items
        The new groups.
    earlier_users, earlier_items
        int64 ``(rows,)``: the earlier model's index of each index; -1 for a new one.
    plan
        Settings of the training.
    """
    visits = users.visits, items.visits
    state = initial_state(users.starts, items.starts, plan, lift=earlier.lift, visits=visits)
    return state._replace(
        users=_warm(state.users, earlier.users, earlier_users[users.order], plan),
        items=_warm(state.items, earlier.items, earlier_items[items.order], plan),
    )


def _warm(table: Table, earlier: ModelSide, indices: NDArray[np.int64], plan: TrainPlan) -> Table:
    """Put an earlier side's rows into a table; ``indices`` has each row's earlier index, or -1."""
    first, *others = plan.storages
    known = indices >= 0
    drawn = to_host(table)
    dense, starts = drawn.dense(), drawn.starts
    dense[known] = earlier.dense(indices[known])
    codes = np.full(len(known), first.code, dtype=np.uint8)
    if others:
        row_codes = np.repeat(earlier.table.codes, np.diff(earlier.table.starts))
        codes[known] = np.minimum(codes[known], row_codes[earlier.row_of[indices[known]]])
    codes = np.minimum.reduceat(codes, starts[:-1].astype(np.intp))
    return to_device(encoded(dense, starts, codes, plan.storages), plan.storages)
