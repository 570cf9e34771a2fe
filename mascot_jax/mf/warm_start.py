"""A training state that goes on from an earlier model, whose rows may be others."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts
from mascot_jax.engine import kernels
from mascot_jax.engine.codec import encode
from mascot_jax.engine.state import TrainState
from mascot_jax.mf.model import ROWS_AT_A_TIME, Model, ModelSide
from mascot_jax.settings import TrainSettings
from mascot_jax.tables.groups import Grouping
from mascot_jax.tables.storage import Storage
from mascot_jax.tables.table import Side
from mascot_jax.training.initial import initial_state


def warm_state(
    earlier: Model,
    users: Grouping,
    items: Grouping,
    earlier_users: NDArray[np.int64],
    earlier_items: NDArray[np.int64],
    settings: TrainSettings,
) -> TrainState:
    """Return a state in which known rows have the factors that the earlier model gave them.

    Others have the random ones of a new training. Epochs are counted from 0 again, and with them
    go the step sizes. Where the method promotes groups, one begins in the most precise storage that
    any of its known rows was in, so that nothing is lost, but in none less precise than the
    method's first; errors are measured anew. Other methods store every row in the one that they
    have.

    Parameters
    ----------
    earlier
        A model with as many factors.
    users, items
        The new groups.
    earlier_users, earlier_items
        int64 ``(rows,)``: the earlier model's index of each index; -1 for a new one.
    settings
        How to train.
    """
    settings = settings.resolved()
    state = initial_state(users.starts, items.starts, settings)
    return state._replace(
        users=_warm_side(state.users, earlier.users, earlier_users[users.order], settings),
        items=_warm_side(state.items, earlier.items, earlier_items[items.order], settings),
    )


def _warm_side(
    side: Side, earlier: ModelSide, indices: NDArray[np.int64], settings: TrainSettings
) -> Side:
    """Put an earlier side's rows in; ``indices`` has the earlier index of each row, or -1."""
    k = settings.factors
    storages = settings.storages
    known = indices >= 0
    dense = storages[0].decode(np.asarray(side.tables[storages[0].name]), k)
    dense[known] = earlier.dense(k, indices[known])
    starts = np.asarray(side.starts)
    codes = np.full(len(known), storages[0].code, dtype=np.uint8)
    if len(storages) > 1:
        row_codes = np.repeat(earlier.codes, np.diff(earlier.starts))
        codes[known] = np.minimum(codes[known], row_codes[earlier.row_of[indices[known]]])
    codes = np.minimum.reduceat(codes, starts[:-1].astype(np.intp))
    code_of_row = np.repeat(codes, np.diff(starts))
    tables = {s.name: _table(dense, code_of_row == s.code, s) for s in storages}
    return side._replace(tables=dict(sorted(tables.items())), codes=jnp.asarray(codes))


def _table(dense: NDArray[np.float32], live: NDArray[np.bool_], storage: Storage) -> jnp.ndarray:
    """Encode the live rows of ``(rows, k)`` into a table ``(rows, stride)``; others are zeros."""
    rows, k = dense.shape
    table = kernels.allocate_table(rows, k, storage)
    for part in parts(rows, ROWS_AT_A_TIME):
        encoded = np.asarray(encode(storage, jnp.asarray(dense[part])))
        stored = np.zeros((len(encoded), storage.stride(k)), dtype=storage.dtype)
        stored[:, : storage.elements(k)] = np.where(live[part, None], encoded, 0)
        table = kernels.put_rows(table, np.arange(part.start, part.stop, dtype=np.uint32), stored)
    return table
