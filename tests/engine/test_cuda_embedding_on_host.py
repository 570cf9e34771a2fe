"""The CUDA kernels of click models' tables without a GPU: compiled for the host, against NumPy."""

import numpy as np
import pytest

from mascot_jax.engine.embedding import ROW_FORMATS
from tests.support import embedding_reference as reference
from tests.support.cuda_on_host import call, compile_kernels
from tests.support.embedding_on_host import HostTables, coalesce

TRAINED = ["float16", "int8-row", "int4-row"]
TIERS = [
    *(("float32", storage) for storage in TRAINED),
    ("float16", "int4-row"),
    ("int8-row", "float32"),
    ("int4-row", "int8-row"),
]
"""Storages of wide and of narrow rows."""
INT4 = "float32", "int4-row"
DIMENSIONS = [16, 32, 48, 64, 112, 144, 272]
"""Tiles of 4 to 32 lanes, all of them in use or not, and rows of one to three chunks."""
SEED, STEP, STEP_SIZE = 5, 70_000, np.float32(0.07)
WIDE, NARROW_ROWS, BATCH, FIELDS = 20, 61, 45, 3


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return compile_kernels(tmp_path_factory.mktemp("native"), "embedding_on_host")


@pytest.fixture(params=[(0, 0), (7, 1)], ids=["in order", "in any order"])
def order(request, library):
    """Warps in their order, or in a random one and lanes backwards."""
    call(library.mascot_set_order, *request.param)
    yield
    call(library.mascot_set_order, 0, 0)


class World:
    """Tables of 3 fields, some of their rows wide, and a batch that looks up some rows often."""

    def __init__(self, library, storages, dimension, wide=WIDE, narrow=NARROW_ROWS, batch=BATCH):
        rng = np.random.default_rng(dimension)
        values = rng.standard_normal((narrow, dimension)).astype(np.float32)
        if narrow > 3:
            values[1] *= np.float32(1e-3)
            values[2], values[3] = 0, 1e-35
        self.storages, self.values = storages, values

        def stored(values, storage):
            row = ROW_FORMATS[storage]
            blank = np.zeros((0, row.elements(dimension)), row.dtype)
            return reference.stored(values, storage, SEED) if len(values) else blank

        wide_values = rng.standard_normal((wide, dimension)).astype(np.float32)
        tables = stored(wide_values, storages[0]), stored(values, storages[1])
        self.tables = HostTables(library, *tables, storages)
        # A row is of the field that its number leaves as remainder.
        count = (wide + narrow) // FIELDS
        rows = rng.zipf(1.3, (batch, FIELDS)) % count * FIELDS + np.arange(FIELDS)
        self.rows = rows.astype(np.uint32)
        self.gradients = rng.standard_normal((batch, FIELDS, dimension)).astype(np.float32)
        self.scales = np.array([0.1, 0.02, 0], np.float32)

    def all_in_one_row(self, field, row):
        self.rows[:, field] = row

    def check_step(self):
        """One step is the reference's, in place."""
        tables = self.tables
        expected = reference.updated(
            tables.wide, tables.narrow, self.storages, self.rows, self.gradients, STEP_SIZE, SEED,
            STEP,
        )  # fmt: skip
        tables.update(self.rows, self.gradients, STEP_SIZE, SEED, STEP)
        assert_same_bytes(tables.wide, expected[0])
        assert_same_bytes(tables.narrow, expected[1])

    def check_lookup(self, levels=0):
        tables = self.tables
        found = tables.look_up(self.rows, self.scales, levels)
        expected = reference.looked_up(
            tables.wide, tables.narrow, self.storages, self.rows, self.scales, levels
        )
        np.testing.assert_array_equal(found, expected)


def assert_same_bytes(found, expected):
    np.testing.assert_array_equal(
        np.ascontiguousarray(found).view(np.uint8), np.ascontiguousarray(expected).view(np.uint8)
    )


@pytest.mark.parametrize("storages", TIERS, ids=" ".join)
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_lookup_and_update_are_numpys_bit_for_bit(library, order, dimension, storages):
    world = World(library, storages, dimension)
    world.all_in_one_row(2, 2)  # a wide row
    world.check_lookup()
    world.check_step()
    world.check_lookup()


@pytest.mark.parametrize("storage", TRAINED)
def test_a_batch_may_be_in_one_narrow_row_or_have_one_impression(library, storage):
    storages = "float32", storage
    world = World(library, storages, 16)
    for field in range(FIELDS):
        world.all_in_one_row(field, WIDE + 1 + field)
    world.check_step()
    for batch in (1, 0):
        World(library, storages, 32, batch=batch).check_step()
    World(library, storages, 64, wide=0, narrow=FIELDS).check_step()


def test_without_narrow_rows_there_is_plain_sgd(library):
    world = World(library, ("float32", "float16"), 48, wide=81, narrow=0)
    world.check_lookup()
    world.check_step()


@pytest.mark.parametrize("storage", ["float32", *TRAINED])
@pytest.mark.parametrize("dimension", [48, 144])
def test_rows_are_stored_as_numpy_stores_them(library, order, dimension, storage):
    world = World(library, ("float16", storage), dimension)
    tables, first = world.tables, 7
    tables.narrow[...] = 1
    world.values[5, 7] = 1e30
    tables.store(world.values[:50], SEED, first)
    with np.errstate(over="ignore"):
        expected = reference.stored(world.values[:50], storage, SEED, first)
    assert_same_bytes(tables.narrow[first : first + 50], expected)
    assert (tables.narrow[:first] == 1).all()
    assert (tables.narrow[first + 50 :] == 1).all()


@pytest.mark.parametrize("levels", [7, 127])
def test_wide_rows_are_rounded_to_levels(library, levels):
    world = World(library, INT4, 32)
    world.tables.wide[4, :3] = [50, -50, np.nan]
    world.all_in_one_row(1, 4)
    world.check_lookup(levels)


@pytest.mark.parametrize("storage", ["int4-row", "int4-table"])
def test_every_byte_of_int4_stands_for_two_numbers(library, storage):
    row = np.repeat(np.arange(256, dtype=np.uint8).reshape(-1, 1), 8, axis=1)
    if storage == "int4-row":
        tail = reference.packed(np.zeros(16, np.int8), np.float32(0.375))[-2:]
        row = np.concatenate([row, np.tile(tail, (256, 1))], 1)
    storages = "float32", storage
    tables = HostTables(library, np.zeros((0, 16), np.float32), row, storages)
    rows, scales = np.arange(256, dtype=np.uint32)[:, None], np.array([0.375], np.float32)
    expected = reference.looked_up(tables.wide, tables.narrow, storages, rows, scales)
    np.testing.assert_array_equal(tables.look_up(rows, scales), expected)


def test_gradients_are_summed_where_a_row_first_occurs(library, order):
    for dimension in (16, 48, 272):
        world = World(library, INT4, dimension)
        world.all_in_one_row(1, 1)
        expected = np.zeros_like(world.gradients)
        for field in range(FIELDS):
            first = {}
            for b, row in enumerate(world.rows[:, field]):
                expected[first.setdefault(row, b), field] += world.gradients[b, field]
        found = coalesce(library, world.rows, world.gradients)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("row", [WIDE + NARROW_ROWS, 2**32 - 1])
@pytest.mark.parametrize("storage", TRAINED)
def test_rows_beyond_the_tables_are_nan_and_change_nothing(library, storage, row):
    world = World(library, ("float32", storage), 16)
    tables, rows, gradients = world.tables, world.rows, world.gradients
    rows[3, 1] = row
    found = tables.look_up(rows, world.scales)
    assert np.isnan(found[3, 1]).all()
    assert np.isnan(found).sum() == 16
    wide, narrow = tables.wide, tables.narrow
    for field in range(FIELDS):
        inside = np.flatnonzero(rows[:, field] != row)
        wide, narrow = reference.updated(
            wide, narrow, world.storages, rows[inside, field, None], gradients[inside, field, None],
            STEP_SIZE, SEED, STEP,
        )  # fmt: skip
    tables.update(rows, gradients, STEP_SIZE, SEED, STEP)
    assert_same_bytes(tables.wide, wide)
    assert_same_bytes(tables.narrow, narrow)
    tables.store(world.values, SEED, first=NARROW_ROWS - 2)
    expected = reference.stored(world.values[:2], storage, SEED, NARROW_ROWS - 2)
    assert_same_bytes(tables.narrow[-2:], expected)
