"""Predictions by the CPU's kernel without JAX: for services, and in processes that cannot use JAX.

They are bit for bit those of ``kernels.predict`` on a CPU.
"""

from __future__ import annotations

import mascot_ffi
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import aligned_zeros
from mascot_jax.engine import native  # noqa: F401  reports why mascot_ffi does not load
from mascot_jax.engine.kernels import Execution, block_size, row_layout
from mascot_jax.tables.rows import Rows
from mascot_jax.tables.storage import STORAGES


class Products:
    """Products of pairs of rows.

    Parameters
    ----------
    users, items
        Factors, copied into the kernel's layout.
    execution
        Execution options; the lookup is always direct.
    """

    def __init__(self, users: Rows, items: Rows, execution: Execution) -> None:
        row = row_layout(users, items)
        self._threads = execution.threads
        self._kernel = mascot_ffi.Predictor(
            *_side(users),
            *_side(items),
            int(row["factors"]),
            int(row["scale_block"]),
            execution.instruction_set,
        )

    def of(self, users: NDArray[np.uint32], items: NDArray[np.uint32]) -> NDArray[np.float32]:
        """Return p_u . q_i of each pair of rows uint32 ``(n,)``, float32 ``(n,)``.

        Raises
        ------
        ValueError
            If a row does not exist.
        """
        found = np.empty(len(users), dtype=np.float32)
        self._kernel.predict(users, items, found, block_size(len(users)), self._threads)
        return found


def _side(
    rows: Rows,
) -> tuple[NDArray[np.uint32], NDArray[np.uint8], list[NDArray[np.uint8]], list[int]]:
    """Return starts and codes of groups, and bytes ``(rows, stride)`` and code of each storage."""
    tables, codes = [], []
    for name, stored in rows.stored.items():
        storage = STORAGES[name]
        table = aligned_zeros((len(rows), storage.stride(rows.factors)), storage.dtype)
        table[rows.in_storage(storage), : stored.shape[1]] = stored
        tables.append(table.view(np.uint8))
        codes.append(storage.code)
    return np.ascontiguousarray(rows.starts), np.ascontiguousarray(rows.codes), tables, codes
