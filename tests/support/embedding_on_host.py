"""The CUDA kernels of click models' tables compiled for the host, as functions of NumPy arrays."""

import ctypes

import jax.numpy as jnp
import numpy as np

from mascot_jax.engine.embedding import NARROW, sorted_rows
from tests.support.cuda_on_host import call, guarded

STORAGES = list(NARROW)


class View(ctypes.Structure):
    """``Embedding`` of ``ffi/core/embedding/kernel.h``."""

    _fields_ = (
        ("wide", ctypes.c_void_p),
        ("wide_rows", ctypes.c_int64),
        ("narrow", ctypes.c_void_p),
        ("storage", ctypes.c_uint8),
        ("narrow_rows", ctypes.c_int64),
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

    def __init__(self, library, wide, narrow, storage, grid=2):
        self.kernels, self.grid = library, grid
        self.wide, self.narrow = guarded(wide), guarded(narrow)
        self.storage = storage

    def _view(self, scales=None, levels=0):
        return View(
            self.wide.ctypes.data, len(self.wide), self.narrow.ctypes.data,
            STORAGES.index(self.storage), len(self.narrow), self.wide.shape[1],
            None if scales is None else scales.ctypes.data, levels,
        )  # fmt: skip

    def look_up(self, rows, scales, levels=0):
        """Return the rows of a batch, float32 ``(b, f, d)``."""
        values = guarded(np.zeros((*rows.shape, self.wide.shape[1]), np.float32))
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
        function = self.kernels.mascot_store
        call(function, self._view(), guarded(values), len(values), counters, self.grid)
