"""A step against a model whose tables JAX differentiates as dense arrays."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mascot_jax.dlrm.batches import epoch_of
from mascot_jax.dlrm.network import initial_layers, interactions
from mascot_jax.dlrm.steps import (
    Batches,
    StepPlan,
    TrainingState,
    loss_of,
    optimizer_of,
    run_steps,
)
from mascot_jax.dlrm.tables import field_scales, initial_tables, tiers_of
from mascot_jax.engine.kernels import Execution
from mascot_jax.settings.clicks import ClickSettings
from tests.support.planted_clicks import planted


def start(preset="fp32", **settings):
    train, _ = planted(600)
    settings = ClickSettings(preset=preset, bottom=(8,), top=(8,), batch_size=100, **settings)
    tiers = tiers_of(settings, train)
    layers = initial_layers(settings, 2, 4)
    tables = initial_tables(settings, tiers, Execution())
    state = TrainingState(tables, layers, optimizer_of(settings.mlp_optimizer).init(layers))
    ((_, host),) = epoch_of(train, tiers, settings, 0)
    return settings, tiers, state, Batches(*map(jnp.asarray, host))


def by_dense_gradients(state, batches, bits, scales=None):
    """The tables and layers after steps of plain SGD, and the losses."""

    def loss(parameters, rows, dense, labels):
        table, layers = parameters
        vectors = table[rows]
        if scales is not None:  # straight through
            step = scales[None, :, None]
            rounded = jnp.clip(jnp.round(vectors / step), -8, 7) * step
            vectors = vectors + jax.lax.stop_gradient(rounded - vectors)
        return loss_of(layers, vectors, dense, labels, bits)

    def step(parameters, batch):
        rows, dense, labels, rates, _ = batch
        value, gradients = jax.value_and_grad(loss)(parameters, rows, dense, labels)
        return jax.tree.map(lambda p, g: p - rates[0] * g, parameters, gradients), value

    start = jnp.array(state.tables.wide), state.layers
    parameters, losses = jax.jit(partial(jax.lax.scan, step))(start, batches)
    return *parameters, losses


def test_interactions_have_the_gradient_of_products():
    rng = np.random.default_rng(0)
    vectors = jnp.asarray(rng.standard_normal((3, 5, 16), np.float32))
    weights = jnp.asarray(rng.standard_normal((3, 10), np.float32))

    def by_pair(x):
        pairs = [(x[:, i] * x[:, j]).sum(-1) for i in range(5) for j in range(i)]
        return (jnp.stack(pairs, 1) * weights).sum()

    found = jax.value_and_grad(lambda x: (interactions(x) * weights).sum())(vectors)
    for a, b in zip(found, jax.value_and_grad(by_pair)(vectors), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bits", [None, 4])
def test_an_fp32_step_is_that_of_dense_gradients(bits):
    _, _, state, batches = start()
    table, layers, expected = by_dense_gradients(state, batches, bits)
    plan = StepPlan("sgd", 0, bits, Execution())
    state, losses = run_steps(state, jnp.zeros(4), batches, plan=plan)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    np.testing.assert_allclose(state.tables.wide, table, atol=1e-5)
    for found, wanted in zip(jax.tree.leaves(state.layers), jax.tree.leaves(layers), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_dqrm_step_passes_gradients_straight_through():
    _, tiers, state, batches = start("dqrm")
    scales = field_scales(state.tables.wide, rows=tiers.wide, levels=7)
    for field, (a, rows) in enumerate(zip(tiers.starts[0], tiers.wide, strict=True)):
        largest = np.abs(np.asarray(state.tables.wide)[a : a + rows]).max()
        assert scales[field] == pytest.approx(largest / 7, rel=1e-6)
    table, _, expected = by_dense_gradients(state, batches, None, scales)
    plan = StepPlan("sgd", 7, None, Execution())
    state, losses = run_steps(state, scales, batches, plan=plan)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    # A vector that a rounding of the last bit pushes over a level may differ by a scale.
    assert np.quantile(np.abs(np.asarray(state.tables.wide) - np.asarray(table)), 0.99) < 1e-4


@pytest.mark.parametrize("name", ["sgd", "adagrad", "adam"])
def test_layers_descend_as_optax_has_it(name):
    _, _, state, batches = start(mlp_optimizer=name)
    one = Batches(*(array[:1] for array in batches))
    rows, dense, labels, rates, _ = (array[0] for array in one)
    vectors = jnp.asarray(state.tables.wide)[rows]
    rule = getattr(optax, name)(float(rates[1]))

    @jax.jit
    def stepped(layers):
        gradients = jax.grad(loss_of)(layers, vectors, dense, labels, None)
        return optax.apply_updates(layers, rule.update(gradients, rule.init(layers), layers)[0])

    with jax.numpy_dtype_promotion("standard"):
        expected = stepped(state.layers)
    plan = StepPlan(name, 0, None, Execution())
    state, _ = run_steps(state, jnp.zeros(4), one, plan=plan)
    for found, wanted in zip(jax.tree.leaves(state.layers), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)
