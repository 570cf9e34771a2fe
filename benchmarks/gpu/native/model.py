"""Structures of ``ffi/cuda/model.h``, as a library of C functions takes them."""

from __future__ import annotations

import ctypes

from mascot_jax.tables.storage import STORAGES, by_code

CODES = sorted(by_code(STORAGES))
WHOLE_ROW_BITS = 30
"""``scale_bits`` of rows in which all components share a scale."""


class Table(ctypes.Structure):
    """Rows of one storage; null where no group is in it."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("stride", ctypes.c_int64),
        ("scale_chunks", ctypes.c_int64),
    )


class Side(ctypes.Structure):
    """Tables and groups of one side."""

    _fields_ = (
        ("tables", Table * len(CODES)),
        ("starts", ctypes.c_void_p),
        ("codes", ctypes.c_void_p),
        ("groups", ctypes.c_int64),
        ("rows", ctypes.c_int64),
        ("metadata", ctypes.c_void_p),
    )


class Shape(ctypes.Structure):
    """What a row holds."""

    _fields_ = (("factors", ctypes.c_int), ("scale_bits", ctypes.c_int))


class Pass(ctypes.Structure):
    """What every pass over the ratings needs."""

    _fields_ = (
        ("user", ctypes.c_void_p),
        ("item", ctypes.c_void_p),
        ("rating", ctypes.c_void_p),
        ("count", ctypes.c_int64),
        ("users", Side),
        ("items", Side),
        ("shape", Shape),
        ("block_size", ctypes.c_int64),
        ("lookup", ctypes.c_uint8),
    )
