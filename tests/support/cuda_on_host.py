"""The CUDA kernels compiled for the host (tests/native), as functions of NumPy arrays."""

import ctypes
import functools
import mmap
import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.gpu.native.model import CODES, WHOLE_ROW_BITS, Pass, Shape, Side
from mascot_jax.tables.storage import STORAGES, by_code
from tests.support.worlds import make_world as make_new_world
from tests.support.worlds import row_codes

CHECKOUT = Path(__file__).parents[2]
NATIVE = CHECKOUT / "tests" / "native"
LOOKUPS = ["direct", "search", "per-row"]
ARITHMETIC_NAMES = ["float32", "float16", "mixed", "fixed"]


make_world = functools.cache(make_new_world)
"""The kernels work on copies."""


def diagonal_world(factors, codes, count, groups=5):
    """Every user and item occurs once: the order of the updates does not matter."""
    world = make_world(factors, codes, count=count, rows=(count, count), groups=groups)
    rng = np.random.default_rng(1)
    users, items = (rng.permutation(count).astype(np.uint32) for _ in range(2))
    return world._replace(user_rows=users, item_rows=items)


def in_runs(world, lengths):
    """The same ratings, but of users in runs of these lengths, over and over."""
    count = len(world.values)
    runs = np.repeat(np.arange(count), np.resize(lengths, count))[:count]
    users = np.random.default_rng(2).integers(0, len(world.p), count)[runs]
    return world._replace(user_rows=users.astype(np.uint32))


def compiler():
    found = shutil.which(os.environ.get("CXX", "c++"))
    assert found, "a C++ compiler builds the native module too"
    return found


def compile_kernels(folder, source="kernels_on_host", include=NATIVE, flags=()):
    """Compile a source of tests/native into a shared library in ``folder`` and load it."""
    library = folder / f"{source}.so"
    subprocess.run(
        [
            compiler(), "-std=c++17", "-O1", "-shared", "-fPIC", "-ffp-contract=off", "-Wall",
            "-Wextra", "-Werror", "-Wno-unknown-pragmas",
            # A shift too far ends the process: hosts and devices would disagree on its result.
            "-fsanitize=shift", "-fsanitize-undefined-trap-on-error",
            "-I", NATIVE, "-I", CHECKOUT / "ffi", "-I", include, *flags,
            NATIVE / f"{source}.cc", "-o", library,
        ],
        check=True,
    )  # fmt: skip
    return ctypes.CDLL(str(library))


def call(function, *arguments):
    """Call a kernel with structures, arrays and whole numbers."""

    def in_c(value):
        if isinstance(value, np.ndarray):
            return value.ctypes.data_as(ctypes.c_void_p)
        if isinstance(value, ctypes.Structure):
            return ctypes.byref(value)
        return ctypes.c_int64(value)

    function.restype = ctypes.c_int64
    return function(*map(in_c, arguments))


def guarded(array):
    """Copy an array to memory that ends where nothing may be read or written.

    A table then begins at a multiple of 64 bytes, as on a device.
    """
    pages = -(-max(array.nbytes, 1) // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = mmap.mmap(-1, pages + mmap.PAGESIZE)
    begin = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    failed = ctypes.CDLL(None).mprotect(
        ctypes.c_void_p(begin + pages), ctypes.c_size_t(mmap.PAGESIZE), 0
    )
    assert not failed
    copy = np.frombuffer(memory, array.dtype, array.size, pages - array.nbytes)
    copy = copy.reshape(array.shape)
    copy[...] = array
    return copy


class BlockList(ctypes.Structure):
    """A span of a list of blocks, as in ffi/cuda/model.h."""

    _fields_ = (
        ("turns", ctypes.c_void_p),
        ("count", ctypes.c_int64),
        ("span", ctypes.c_void_p),
        ("begin", ctypes.c_void_p),
        ("numbers", ctypes.c_void_p),
        ("blocks", ctypes.c_int64),
        ("item_ranges", ctypes.c_int64),
        ("ratings", ctypes.c_void_p),
        ("stretches", ctypes.c_void_p),
    )


class SpanOfBlocks:
    """What a device is given of a list: uint32 arrays, with the scratch that it fills."""

    def __init__(self, turns, begin, numbers, span, count):
        given = turns, begin, numbers, span, [count]
        self.arrays = [guarded(np.array(x, dtype=np.uint32)) for x in given]
        self.scratch = guarded(np.full((len(turns) + 1, 4), 0xFFFFFFFF, dtype=np.uint32))

    @property
    def view(self):
        turns, begin, numbers, span, count = self.arrays
        return BlockList(
            turns.ctypes.data, len(turns), span.ctypes.data, begin.ctypes.data,
            numbers.ctypes.data, len(begin), int(turns[:, 1].max()) + 1, count.ctypes.data,
            self.scratch.ctypes.data,
        )  # fmt: skip


class Moves(ctypes.Structure):
    """Ranges on their way, as in ffi/cuda/model.h."""

    _fields_ = (
        ("moves", ctypes.c_void_p),
        ("starts", ctypes.c_void_p),
        ("ranges", ctypes.c_int64),
        ("pair", ctypes.c_void_p),
    )


class HostSide:
    """One side in host memory: tables by storage, groups, and metadata for the lookup per row."""

    def __init__(self, library, side, factors):
        self.kernels, self.factors = library, factors
        self.tables = {name: guarded(np.asarray(table)) for name, table in side.stored.items()}
        self.starts = guarded(np.asarray(side.starts, dtype=np.uint32))
        self.codes = guarded(np.asarray(side.codes, dtype=np.uint8))
        self.rows = int(self.starts[-1])
        self.metadata = guarded(np.full(self.rows, 0xFFFFFFFF, dtype=np.uint32))
        self.storages = by_code(side.stored)
        self.row_codes = row_codes(side)

    @property
    def view(self):
        return Side(
            tuple(map(self._table, CODES)),
            self.starts.ctypes.data, self.codes.ctypes.data, len(self.codes), self.rows,
            self.metadata.ctypes.data,
        )  # fmt: skip

    def _table(self, code):
        if code not in self.storages:
            return (None, 0, 0)  # no group is in this storage
        table = self.tables[self.storages[code].name]
        return (table.ctypes.data, table.shape[1], 0)

    @property
    def block(self):
        """Components of int8 that share a scale."""
        return self._int8.scale_block

    @property
    def shape(self):
        whole = self._int8.scales(self.factors) == 1
        return Shape(self.factors, WHOLE_ROW_BITS if whole else self.block.bit_length() - 1)

    @property
    def _int8(self):
        return self.storages.get(2, STORAGES["int8-32"])

    def write_metadata(self):
        call(self.kernels.mascot_write_metadata, self.view)

    def promote(self, new_codes):
        new_codes = np.array(new_codes, dtype=np.uint8)
        call(self.kernels.mascot_promote, self.view, new_codes, self.shape)

    def check_finite(self):
        finite = np.ones(len(self.codes), dtype=np.uint8)
        call(self.kernels.mascot_check_finite, self.view, self.shape, finite)
        return finite

    def exchange(self, moves, starts, pair, parcel, *, packs):
        """Write what goes from one device to another into a parcel, or read it from there."""
        own = [guarded(np.array(x, dtype=np.uint32)) for x in (moves, starts, pair)]
        view = Moves(own[0].ctypes.data, own[1].ctypes.data, len(starts) - 1, own[2].ctypes.data)
        call(self.kernels.mascot_exchange, self.view, view, self.shape, parcel, packs)

    def live_rows(self):
        """Return the factors as float32 ``(rows, k)``, from wherever they are stored."""
        rows = np.empty((self.rows, self.factors), dtype=np.float32)
        for code, storage in self.storages.items():
            live = self.row_codes == code
            rows[live] = storage.decode(self.tables[storage.name][live], self.factors)
        return rows


def quantise(library, values, largest, bits):
    """Quantise float32 values, each as one of a row with its own largest magnitude."""
    out = np.empty_like(values)
    call(library.mascot_quantise, values, largest, len(values), bits, out)
    return out


def half_arithmetic(library, a, b, c):
    """Return a + b, a - b, a * b and fma(a, b, c) of float16 vectors of even length."""
    out = np.empty((4, len(a)), dtype=np.float16)
    call(library.mascot_half_arithmetic, a, b, c, len(a) // 2, out)
    return out


class Sums(NamedTuple):
    users: np.ndarray
    items: np.ndarray


class HostWorld:
    """A world of tests.worlds, for the kernels on the host."""

    def __init__(self, library, world, factors, block_size=256, lookup="direct"):
        self.kernels, self.factors, self.block_size = library, factors, block_size
        self.lookup = LOOKUPS.index(lookup)
        self.user_rows, self.item_rows, self.values = (
            guarded(column) for column in (world.user_rows, world.item_rows, world.values)
        )
        self.users = HostSide(library, world.users, factors)
        self.items = HostSide(library, world.items, factors)
        if lookup == "per-row":
            self.users.write_metadata()
            self.items.write_metadata()

    @property
    def view(self):
        return Pass(
            self.user_rows.ctypes.data, self.item_rows.ctypes.data, self.values.ctypes.data,
            len(self.values), self.users.view, self.items.view, self.users.shape, self.block_size,
            self.lookup,
        )  # fmt: skip

    def update(
        self, rates, seed, epoch, sample_ratio=0.0, held=(0, 0), store=False, grid=1,
        stochastic=False, end=(),
    ):  # fmt: skip
        """Run one epoch on ``grid`` thread blocks, in place; return the sums.

        end: thresholds of an update's first component near zero.
        """
        rates = np.array([*rates, sample_ratio, 0, *end], dtype=np.float32)
        counters = np.array([seed, epoch], dtype=np.uint32)
        groups = len(self.users.codes), len(self.items.codes)
        width = call(self.kernels.mascot_sums_width, self.factors)
        sums = guarded(np.zeros((sum(groups), width), dtype=np.float32))
        function = self.kernels.mascot_update
        early = len(end) == 2
        call(function, self.view, rates, counters, sums, *held, store, stochastic, early, grid)
        parts = np.split(sums, [groups[0]])
        return Sums(*(self.finished(np.ascontiguousarray(part), rates) for part in parts))

    def update_by_arithmetic(self, arithmetic, quantiser, rates, seed, epoch, store=False, grid=1):
        """Run one epoch in another arithmetic than float32."""
        rates = np.array([*rates, 0, quantiser], dtype=np.float32)
        counters = np.array([seed, epoch], dtype=np.uint32)
        code = ARITHMETIC_NAMES.index(arithmetic)
        function = self.kernels.mascot_update_by_arithmetic
        call(function, self.view, code, rates, counters, store, grid)

    def hogwild_turns(
        self, blocks, span, rates, seed, epoch, sample_ratio=0.0, stochastic=False, half=False,
        grid=1,
    ):  # fmt: skip
        """Run a span of a list of blocks, in place; return the sums."""
        rates = np.array([*rates, sample_ratio, 0], dtype=np.float32)
        counters = np.array([seed, epoch], dtype=np.uint32)
        groups = len(self.users.codes), len(self.items.codes)
        width = call(self.kernels.mascot_sums_width, self.factors)
        sums = guarded(np.zeros((sum(groups), width), dtype=np.float32))
        function, own = self.kernels.mascot_hogwild_turns, SpanOfBlocks(*blocks, span, len(self))
        call(function, self.view, own.view, rates, counters, sums, stochastic, half, grid)
        parts = np.split(sums, [groups[0]])
        return Sums(*(self.finished(np.ascontiguousarray(part), rates) for part in parts))

    def order_of_pieces(self, blocks, span, key):
        """The pieces of a span in their order: first rating and number of each."""
        own, pieces = SpanOfBlocks(*blocks, span, len(self)), np.zeros((1000, 2), dtype=np.int64)
        return pieces[: call(self.kernels.mascot_order, own.view, key, len(pieces), pieces)]

    def __len__(self):
        return len(self.values)

    def finished(self, sums, rates):
        out = np.full((len(sums), self.factors + 4), np.nan, dtype=np.float32)
        call(self.kernels.mascot_finish_sums, sums, len(sums), self.factors, rates, out)
        return out

    def stream(self, seed, epoch):
        counters, rates = np.array([seed, epoch], dtype=np.uint32), np.zeros(5, dtype=np.float32)
        call(self.kernels.mascot_stream, self.view, rates, counters, 2)

    def predict(self, grid=2):
        predictions = np.full(len(self.values), np.nan, dtype=np.float32)
        call(self.kernels.mascot_predict, self.view, predictions, grid)
        return predictions

    def predict_to_stop(self, end, grid=2):
        """Return predictions that end at the first component near zero, and where that is."""
        predictions = np.full(len(self.values), np.nan, dtype=np.float32)
        stops = np.full(len(self.values), 0xFFFFFFFF, dtype=np.uint32)
        end = np.array(end, dtype=np.float32)
        call(self.kernels.mascot_predict_to_stop, self.view, end, predictions, stops, grid)
        return predictions, stops


def assert_factors(host, p, q):
    np.testing.assert_array_equal(host.users.live_rows(), p)
    np.testing.assert_array_equal(host.items.live_rows(), q)
