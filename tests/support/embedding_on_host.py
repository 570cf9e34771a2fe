"""The CUDA kernels of click models' tables compiled for the host, as functions of NumPy arrays."""

import ctypes

import jax.numpy as jnp
import numpy as np

from mascot_jax.engine.embedding import ROW_FORMATS, sorted_rows
from tests.support.cuda_on_host import call, guarded

STORAGES = list(ROW_FORMATS)


class TierView(ctypes.Structure):
    """``Tier`` of ``ffi/core/embedding/kernel.h``."""

    _fields_ = (
        ("rows", ctypes.c_void_p),
        ("count", ctypes.c_int64),
        ("storage", ctypes.c_uint8),
    )

    @classmethod
    def of(cls, table, storage):
        return cls(table.ctypes.data, len(table), STORAGES.index(storage))


class View(ctypes.Structure):
    """``Embedding``."""

    _fields_ = (
        ("wide", TierView),
        ("narrow", TierView),
        ("dimension", ctypes.c_int64),
        ("scales", ctypes.c_void_p),
        ("levels", ctypes.c_float),
    )


def sorted_by_row(rows):
    """What the engine gives the kernels of rows ``(b, f)``."""
    return [guarded(np.asarray(array)) for array in sorted_rows(jnp.asarray(rows))]


def coalesce(library, rows, gradients, grid=2):
    """Return the sums of equal rows' gradients where each row first occurs, else zeros."""
    sums = guarded(np.full_like(gradients, np.nan))
    numbers, places = sorted_by_row(rows)
    call(
        library.mascot_coalesce, numbers, places, rows.size, gradients.shape[2],
        guarded(gradients), sums, grid,
    )  # fmt: skip
    return sums


class HostTables:
    """Tables in host memory that ends where nothing may be read or written."""

    def __init__(self, library, wide, narrow, storages, grid=2):
        self.kernels, self.grid = library, grid
        self.wide, self.narrow = guarded(wide), guarded(narrow)
        self.storages = storages
        self.dimension = ROW_FORMATS[storages[0]].components(wide.shape[1])

    def _view(self, scales=None, levels=0):
        return View(
            TierView.of(self.wide, self.storages[0]), TierView.of(self.narrow, self.storages[1]),
            self.dimension, None if scales is None else scales.ctypes.data, levels,
        )  # fmt: skip

    def look_up(self, rows, scales, levels=0):
        """Return the rows of a batch, float32 ``(b, f, d)``."""
        values = guarded(np.zeros((*rows.shape, self.dimension), np.float32))
        scales = guarded(np.asarray(scales, np.float32))
        view = self._view(scales, levels)
        call(self.kernels.mascot_look_up, view, guarded(rows), *rows.shape, values, self.grid)
        return values

    def update(self, rows, gradients, step_size, seed, step):
        """Make a step of SGD on the rows of a batch, in place."""
        numbers, places = sorted_by_row(rows)
        rate = guarded(np.array([step_size], np.float32))
        counters = guarded(np.array([seed, step], np.uint32))
        call(
            self.kernels.mascot_update, self._view(), numbers, places, rows.size,
            guarded(gradients), rate, counters, self.grid,
        )  # fmt: skip

    def store(self, values, seed, first=0):
        """Write narrow rows from ``first`` on, in place."""
        counters = guarded(np.array([seed, first], np.uint32))
        tier = TierView.of(self.narrow, self.storages[1])
        function, dimension = self.kernels.mascot_store, self.dimension
        call(function, tier, dimension, guarded(values), len(values), counters, self.grid)
