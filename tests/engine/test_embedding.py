"""Kernels of embedding tables against plain NumPy, for every instruction set this CPU has."""

import jax
import jax.numpy as jnp
import mascot_ffi
import numpy as np
import pytest

from mascot_jax.engine import embedding
from mascot_jax.engine.embedding import ROW_FORMATS, EmbeddingTables
from mascot_jax.engine.kernels import Execution
from tests.support import embedding_reference as reference

VARIANTS = mascot_ffi.build_info()["instruction_sets"]
TRAINED = ["float16", "int8-row", "int4-row"]
TIERS = [
    *(("float32", storage) for storage in TRAINED),
    ("float16", "int4-row"),
    ("int8-row", "float32"),
    ("int4-row", "float16"),
]
"""Storages of wide and of narrow rows."""
DIMENSIONS = [16, 32, 64, 112]
INT4 = "float32", "int4-row"
SEED, STEP = 5, 70_000
STEP_SIZE = np.float32(0.07)


class World:
    """Tables of 3 fields, some of their rows wide, and a batch that looks up some rows often."""

    def __init__(self, storages, dimension, batch=97, wide=20, narrow=60):
        rng = np.random.default_rng(3)
        self.storages = storages
        wide_values = rng.standard_normal((wide, dimension)).astype(np.float32)
        self.wide = reference.stored(wide_values, storages[0], SEED)
        values = rng.standard_normal((narrow, dimension)).astype(np.float32)
        values[1:2] *= np.float32(1e-3)
        if narrow:
            values[2] = 0
            self.narrow = reference.stored(values, storages[1], SEED)
        else:
            row = ROW_FORMATS[storages[1]]
            self.narrow = np.zeros((0, row.elements(dimension)), row.dtype)
        # Every field has its own rows: those that leave its number as remainder.
        rows = rng.zipf(1.3, (batch, 3)) * 3 % (wide + narrow - 2) // 3 * 3
        self.rows = (rows + np.arange(3)).astype(np.uint32)
        self.rows[:, 2] = 2  # all of a batch in one row
        self.gradients = rng.standard_normal((batch, 3, dimension)).astype(np.float32)
        self.scales = np.array([0.1, 0.02, 0], np.float32)

    def tables(self):
        wide_storage, narrow_storage = self.storages
        wide, narrow = jnp.array(self.wide), jnp.array(self.narrow)
        return EmbeddingTables(wide, narrow, narrow_storage, wide_storage)

    def look_up(self, execution, levels=0, tables=None):
        return np.asarray(
            embedding.look_up(
                tables or self.tables(),
                jnp.asarray(self.rows),
                jnp.asarray(self.scales),
                levels=levels,
                execution=execution,
            )
        )

    def update(self, execution):
        step = jax.jit(
            lambda tables, *rest: embedding.update(tables, *rest, execution=execution),
            donate_argnums=0,
        )
        tables = step(
            self.tables(),
            jnp.asarray(self.rows),
            jnp.asarray(self.gradients),
            STEP_SIZE,
            jnp.array([SEED, STEP], jnp.uint32),
        )
        return np.asarray(tables.wide), np.asarray(tables.narrow)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("storages", TIERS, ids=" ".join)
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_lookup_and_update_are_numpys_bit_for_bit(dimension, storages, variant):
    world = World(storages, dimension)
    found = world.look_up(Execution(1, variant))
    expected = reference.looked_up(world.wide, world.narrow, storages, world.rows, world.scales)
    np.testing.assert_array_equal(found, expected)
    wide, narrow = world.update(Execution(1, variant))
    expected = reference.updated(
        world.wide, world.narrow, storages, world.rows, world.gradients, STEP_SIZE, SEED, STEP
    )
    np.testing.assert_array_equal(wide.view(np.uint8), expected[0].view(np.uint8))
    np.testing.assert_array_equal(narrow.view(np.uint8), expected[1].view(np.uint8))
    untouched = np.setdiff1d(np.arange(80), world.rows)
    assert untouched.size
    np.testing.assert_array_equal(
        wide[untouched[untouched < 20]], world.wide[untouched[untouched < 20]]
    )
    beyond = untouched[untouched >= 20] - 20
    np.testing.assert_array_equal(narrow[beyond], world.narrow[beyond])


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("storage", TRAINED)
def test_rows_are_stored_as_numpy_stores_them(storage, variant):
    rng = np.random.default_rng(8)
    values = rng.standard_normal((50, 48)).astype(np.float32)
    values[3], values[4], values[5, 7] = 0, 1e-35, 1e30
    narrow = jnp.zeros((60, ROW_FORMATS[storage].elements(48)), ROW_FORMATS[storage].dtype)
    counters = jnp.array([SEED, 7], jnp.uint32)
    execution = Execution(1, variant)
    found = embedding.store(
        narrow, jnp.asarray(values), counters, storage=storage, execution=execution
    )
    with np.errstate(over="ignore"):
        expected = reference.stored(values, storage, SEED, first=7)
    np.testing.assert_array_equal(np.asarray(found)[7:57].view(np.uint8), expected.view(np.uint8))
    assert not np.asarray(found)[:7].any()
    assert not np.asarray(found)[57:].any()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("levels", [7, 127])
def test_wide_rows_are_rounded_to_levels(levels, variant):
    world = World(INT4, 32)
    world.wide[4, :3] = [50, -50, np.nan]
    found = world.look_up(Execution(1, variant), levels)
    expected = reference.looked_up(world.wide, world.narrow, INT4, world.rows, world.scales, levels)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_byte_of_int4_stands_for_two_numbers(variant):
    halves = np.arange(256, dtype=np.uint8)
    scale = np.float32(0.375)
    for storage in ("int4-row", "int4-table"):
        row = np.repeat(halves.reshape(-1, 1), 8, axis=1)
        if storage == "int4-row":
            tail = reference.packed(np.zeros(16, np.int8), scale)[-2:]
            row = np.concatenate([row, np.tile(tail, (256, 1))], 1)
        tables = EmbeddingTables(jnp.zeros((0, 16), jnp.float32), jnp.array(row), storage)
        found = embedding.look_up(
            tables,
            jnp.arange(256, dtype=jnp.uint32)[:, None],
            jnp.array([scale]),
            execution=Execution(1, variant),
        )
        low, high = (halves & 15).astype(int) - 8, (halves >> 4).astype(int) - 8
        np.testing.assert_array_equal(
            np.asarray(found)[:, 0, :8], (low * scale)[:, None].repeat(8, 1)
        )
        np.testing.assert_array_equal(
            np.asarray(found)[:, 0, 8:], (high * scale)[:, None].repeat(8, 1)
        )


@pytest.mark.parametrize("storage", ["int8-row", "int4-row"])
def test_a_row_that_does_not_change_is_stored_as_it_was(storage):
    world = World(("float32", storage), 64)
    world.gradients[:] = 0
    # A row whose largest number is not the largest there is gets a finer scale.
    largest = np.abs(
        reference.looked_up(
            world.wide[:0],
            world.narrow,
            world.storages,
            np.arange(60, dtype=np.uint32)[:, None],
            [0],
        )
    ).max((1, 2))
    full = np.array(
        [
            np.abs(reference.decoded(row, storage)).max() == 0
            or np.isclose(largest[i], row_limit(row, storage), rtol=1e-6)
            for i, row in enumerate(world.narrow)
        ]
    )
    assert full.sum() > 30
    _, narrow = world.update(Execution())
    np.testing.assert_array_equal(narrow[full], world.narrow[full])


def row_limit(row, storage):
    """The largest number that a row's scale allows."""
    if storage == "int8-row":
        return 127 * np.ascontiguousarray(row[-4:]).view(np.float32)[0]
    return 7 * (row[-2:].view("<u2").astype(np.uint32) << 16).view(np.float32)[0]


@pytest.mark.parametrize("storage", TRAINED)
def test_rounding_keeps_the_mean_and_cuts_nothing_off(storage):
    value = np.random.default_rng(4).standard_normal(16).astype(np.float32)
    rows = 20_000
    narrow = embedding.store(
        jnp.zeros((rows, ROW_FORMATS[storage].elements(16)), ROW_FORMATS[storage].dtype),
        jnp.asarray(np.tile(value, (rows, 1))),
        jnp.array([SEED, 0], jnp.uint32),
        storage=storage,
        execution=Execution(),
    )
    tables = EmbeddingTables(jnp.zeros((0, 16), jnp.float32), narrow, storage)
    numbers = jnp.arange(rows, dtype=jnp.uint32)[:, None]
    found = np.asarray(embedding.look_up(tables, numbers, jnp.zeros(1), execution=Execution()))[
        :, 0
    ]
    step = {"float16": 2**-10, "int8-row": 1 / 127, "int4-row": 1 / 7}[storage]
    step *= np.abs(value).max() * 1.01
    # A bfloat16 scale is rounded stochastically, too: by up to 1/128 of what it multiplies.
    of_scale = (np.abs(value) + step) / 128 if storage == "int4-row" else 0
    assert (np.abs(found - value) <= step + of_scale).all()
    assert (
        np.abs(found.mean(0, dtype=np.float64) - value).max()
        <= 5 * step / 2 / np.sqrt(rows) + 1e-4 * step
    )


@pytest.mark.parametrize("storage", TRAINED)
def test_rows_visited_often_keep_no_more_noise_than_their_steps_bring(storage):
    rows, visits, size = 64, 400, np.float32(1e-4)
    rng = np.random.default_rng(6)
    values = rng.standard_normal((rows, 16)).astype(np.float32)
    # Steps back and forth, as of rows that have converged.
    signs = np.sign(rng.standard_normal((visits // 2, rows, 1, 16))).astype(np.float32)
    steps = jnp.asarray(np.concatenate([signs, -signs]) * size)
    numbers = jnp.arange(rows, dtype=jnp.uint32)[:, None]
    narrow = jnp.asarray(reference.stored(values, storage, SEED))
    begun = EmbeddingTables(jnp.zeros((0, 16), jnp.float32), narrow, storage)

    @jax.jit
    def visit(tables):
        def one(tables, step):
            gradients, number = step
            counters = jnp.stack([jnp.uint32(SEED), number])
            how = {"execution": Execution()}
            return embedding.update(tables, numbers, gradients, 1.0, counters, **how), None

        return jax.lax.scan(one, tables, (steps, jnp.arange(visits, dtype=jnp.uint32)))[0]

    def look_up(tables):
        return np.asarray(embedding.look_up(tables, numbers, jnp.zeros(1), execution=Execution()))[
            :, 0
        ]

    before, after = look_up(begun), look_up(visit(begun))
    grid = {"float16": 2**-10, "int8-row": 1 / 127, "int4-row": 1 / 7}[storage]
    grid *= np.abs(before).max(1, keepdims=True)
    # A step is rounded to the grid or to nothing: its variance is at most its size times the grid.
    # As much again is allowed for the grid's own changes.
    allowed = 2 * visits * size * grid
    assert (((after - before) ** 2) / allowed).mean() < 1


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_change_no_bit(threads):
    world = World(("float16", "int4-row"), 16, batch=12_000, wide=500, narrow=4_000)
    np.testing.assert_array_equal(world.look_up(Execution(threads)), world.look_up(Execution(1)))
    for found, expected in zip(
        world.update(Execution(threads)), world.update(Execution(1)), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_are_summed_where_a_row_first_occurs(variant):
    world = World(INT4, 48)
    found = embedding.coalesce(
        jnp.asarray(world.rows), jnp.asarray(world.gradients), execution=Execution(1, variant)
    )
    expected = np.zeros_like(world.gradients)
    for f in range(3):
        first = {}
        for b, row in enumerate(world.rows[:, f]):
            expected[first.setdefault(row, b), f] += world.gradients[b, f]
    np.testing.assert_array_equal(found, expected)


def test_without_narrow_rows_it_is_plain_sgd():
    world = World(INT4, 16, wide=80, narrow=0)
    wide, narrow = world.update(Execution())
    assert narrow.shape == (0, 10)
    gradient = np.zeros_like(wide)
    np.add.at(gradient, world.rows.ravel(), world.gradients.reshape(-1, 16))
    np.testing.assert_allclose(wide, world.wide - STEP_SIZE * gradient, rtol=1e-5, atol=1e-5)


def refused(call, words):
    with pytest.raises(jax.errors.JaxRuntimeError, match=words):
        jax.block_until_ready(call())


def test_what_does_not_fit_is_refused():
    world = World(INT4, 16)
    tables, execution = world.tables(), Execution()

    def look_up(storage="int4-row", rows=world.rows, scales=world.scales, levels=0, how=execution,
                wide=world.wide, narrow=world.narrow, wide_storage="float32"):  # fmt: skip
        return embedding.look_up(
            EmbeddingTables(jnp.array(wide), jnp.array(narrow), storage, wide_storage),
            jnp.asarray(rows), jnp.asarray(scales), levels=levels, execution=how,
        )  # fmt: skip

    beyond = world.rows.copy()
    beyond[50, 1] = 80
    refused(lambda: look_up(rows=beyond), "row 80 is beyond the tables, which have 80")
    refused(lambda: look_up(storage="int5"), "storage 'int5' is not one of float32, float16, ")
    refused(lambda: look_up(wide_storage="float16"), "a table in float16 has another element type")
    refused(lambda: look_up(storage="int8-row"), "a table in int8-row has another element type")
    refused(lambda: look_up(storage="int4-table"), "have 8 elements, not 10")
    refused(lambda: look_up(scales=world.scales[:2]), "a scale for each field")
    refused(lambda: look_up(levels=128), "levels must lie between 0 and 127")
    refused(lambda: look_up(how=Execution(0)), "threads must be at least 1")
    refused(lambda: look_up(how=Execution(1, "mmx")), "instruction set 'mmx' is unknown")
    refused(lambda: look_up(wide=world.wide[:, :15]), "must be a multiple of 16 up to 1024, not 15")

    def update(rows=world.rows, tables=tables, counters=(1, 2)):
        return embedding.update(
            tables, jnp.asarray(rows), jnp.asarray(world.gradients), 0.1,
            jnp.array(counters, jnp.uint32), execution=execution,
        ).wide  # fmt: skip

    refused(lambda: update(beyond), "row 80 is beyond")
    refused(lambda: update(world.rows[:5]), r"must be \[batch, fields, dimension\]")
    refused(lambda: update(counters=(1, 2, 3)), "there must be two counters")
    only = EmbeddingTables(tables.wide, tables.narrow[:, :8], "int4-table")
    refused(lambda: update(tables=only), "int4-table is only looked up")
    only = EmbeddingTables(tables.narrow[:, :8], tables.narrow, "int4-row", "int4-table")
    refused(lambda: update(tables=only), "int4-table is only looked up")

    def store(first=0, storage="int4-row"):
        return embedding.store(
            jnp.zeros((5, 10), jnp.uint8), jnp.zeros((3, 16)),
            jnp.array([0, first], jnp.uint32), storage=storage, execution=execution,
        )  # fmt: skip

    refused(lambda: store(3), "rows 3 to 6 are beyond the table, which has 5")
    refused(lambda: store(storage="int4-table"), "int4-table is only looked up")
