"""Click models on a GPU against NumPy and the CPU; skipped where no GPU can be used."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mascot_jax import ClickModel
from mascot_jax.engine import embedding
from mascot_jax.engine.embedding import EmbeddingTables
from mascot_jax.engine.kernels import Execution
from mascot_jax.errors import SettingsError
from tests.support import embedding_reference as reference
from tests.support.planted_clicks import planted

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("on_gpu")]

TRAINED = ["float16", "int8-row", "int4-row"]
TIERS = [*(("float32", storage) for storage in TRAINED), ("float16", "int4-row")]
"""Storages of wide and of narrow rows."""
DIMENSIONS = [16, 48, 64, 144, 1024]
SEED, STEP, STEP_SIZE = 5, 70_000, np.float32(0.07)
ONE = Execution(1)


class World:
    """Tables on the host, and a batch that looks up some rows often; a row is of one field."""

    def __init__(self, storages, dimension, batch=300, wide=40, narrow=500):
        rng = np.random.default_rng(3)
        self.storages = storages
        wide_values = rng.standard_normal((wide, dimension)).astype(np.float32)
        self.wide = reference.stored(wide_values, storages[0], SEED)
        values = rng.standard_normal((narrow, dimension)).astype(np.float32)
        values[1], values[2] = 0, 1e-35
        self.values, self.narrow = values, reference.stored(values, storages[1], SEED)
        rows = rng.zipf(1.3, (batch, 3)) % ((wide + narrow) // 3) * 3 + np.arange(3)
        self.rows = rows.astype(np.uint32)
        self.rows[:, 2] = 2
        self.gradients = rng.standard_normal((batch, 3, dimension)).astype(np.float32)

    def tables(self):
        wide_storage, narrow_storage = self.storages
        wide, narrow = jnp.array(self.wide), jnp.array(self.narrow)
        return EmbeddingTables(wide, narrow, narrow_storage, wide_storage)


def update(tables, *rest):
    step = jax.jit(lambda *given: embedding.update(*given, execution=ONE), donate_argnums=0)
    return step(tables, *rest)


@pytest.mark.parametrize("storages", TIERS, ids=" ".join)
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_rows_of_clicks_are_numpys_bit_for_bit(dimension, storages):
    world = World(storages, dimension)
    scales = np.array([0.1, 0.02, 0], np.float32)
    for levels in (0, 7):
        found = embedding.look_up(
            world.tables(), jnp.array(world.rows), jnp.array(scales), levels=levels, execution=ONE
        )
        expected = reference.looked_up(
            world.wide, world.narrow, storages, world.rows, scales, levels
        )
        np.testing.assert_array_equal(np.asarray(found), expected)
    tables = world.tables()
    before = tables.wide.unsafe_buffer_pointer(), tables.narrow.unsafe_buffer_pointer()
    counters = jnp.array([SEED, STEP], jnp.uint32)
    tables = update(tables, jnp.array(world.rows), jnp.array(world.gradients), STEP_SIZE, counters)
    wide, narrow = reference.updated(
        world.wide, world.narrow, storages, world.rows, world.gradients, STEP_SIZE, SEED, STEP
    )
    np.testing.assert_array_equal(np.asarray(tables.wide).view(np.uint8), wide.view(np.uint8))
    np.testing.assert_array_equal(np.asarray(tables.narrow).view(np.uint8), narrow.view(np.uint8))
    assert (tables.wide.unsafe_buffer_pointer(), tables.narrow.unsafe_buffer_pointer()) == before


@pytest.mark.parametrize("storage", TRAINED)
def test_first_rows_of_clicks_are_numpys(storage):
    world = World(("float32", storage), 48)
    stored = embedding.store(
        jnp.zeros_like(jnp.array(world.narrow)), jnp.array(world.values[:90]),
        jnp.array([SEED, 7], jnp.uint32), storage=storage, execution=ONE,
    )  # fmt: skip
    expected = reference.stored(world.values[:90], storage, SEED, first=7)
    np.testing.assert_array_equal(np.asarray(stored)[7:97].view(np.uint8), expected.view(np.uint8))
    assert not np.asarray(stored)[97:].any()


def test_a_large_batch_is_the_cpus():
    world = World(("float16", "int4-row"), 16, batch=20_000, wide=400, narrow=50_000)

    def compute():
        given = jnp.array(world.rows), jnp.array(world.gradients)
        sums = embedding.coalesce(*given, execution=ONE)
        counters = jnp.array([SEED, STEP], jnp.uint32)
        tables = update(world.tables(), *given, STEP_SIZE, counters)
        return [np.asarray(array) for array in (sums, tables.wide, tables.narrow)]

    with jax.default_device(jax.devices("cpu")[0]):
        expected = compute()
    for found, wanted in zip(compute(), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


SMALL = {"bottom": (8,), "top": (16,), "batch_size": 50, "epochs": 3, "learning_rate": 0.6}


@pytest.mark.parametrize("preset", ["fp32", "dqrm", "int4"])
def test_a_click_model_learns_as_on_the_cpu(preset, tmp_path):
    train, held_out = planted(6000)
    models = {
        backend: ClickModel(**SMALL, preset=preset, backend=backend).fit(train, held_out)
        for backend in ("cpu", "cuda")
    }
    scores = {backend: model.evaluate(held_out) for backend, model in models.items()}
    assert scores["cuda"]["auc"] == pytest.approx(scores["cpu"]["auc"], abs=0.003)
    models["cuda"].save(tmp_path / "model")
    loaded = ClickModel.load(tmp_path / "model").set_params(backend="cpu")
    np.testing.assert_allclose(
        loaded.predict_proba(held_out), models["cuda"].predict_proba(held_out), atol=2e-3
    )


def test_workers_are_gpus_where_there_are_enough():
    train, _ = planted(500)
    few = jax.device_count("gpu")
    model = ClickModel(**SMALL | {"batch_size": 2 * (few + 1)}, workers=few + 1, backend="cuda")
    with pytest.raises(SettingsError, match=rf"JAX has {few} GPU\(s\): set workers to at most"):
        model.fit(train)
