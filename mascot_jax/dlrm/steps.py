"""Steps of training, several in one compiled program.

The tables never meet JAX's differentiation: a step looks rows up, differentiates by what it got,
and hands the gradients to the kernel, which updates the tables in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import optax

from mascot_jax.dlrm.network import Layers, log_loss, logits
from mascot_jax.engine.embedding import EmbeddingTables, look_up, update
from mascot_jax.engine.kernels import Execution


class StepPlan(NamedTuple):
    """What a step's program depends on; hashable, static under jit."""

    optimizer: str
    """Of the layers: ``sgd``, ``adagrad`` or ``adam``."""
    levels: int
    """Looked-up float32 rows are rounded to so many levels at most; 0: they are not."""
    mlp_bits: int | None
    execution: Execution


class Batches(NamedTuple):
    """Impressions of s steps."""

    rows: jax.Array
    """uint32 ``(s, b, f)``: numbers of rows."""
    dense: jax.Array
    """float32 ``(s, b, dense inputs)``."""
    labels: jax.Array
    """uint8 ``(s, b)``."""
    rates: jax.Array
    """float32 ``(s, 2)``: step sizes of tables and of layers."""
    counters: jax.Array
    """uint32 ``(s, 2)``: seed and number of the step."""


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["tables", "layers", "optimizer"],
    meta_fields=[],
)
@dataclass(frozen=True)
class TrainingState:
    """What steps change."""

    tables: EmbeddingTables
    layers: Layers
    optimizer: Any
    """State of the layers' optimiser."""


class Gradients(NamedTuple):
    """Of a batch's loss."""

    layers: Layers
    rows: jax.Array
    """uint32 ``(b, f)``: numbers of looked-up rows."""
    vectors: jax.Array
    """float32 ``(b, f, dimension)``: gradients by what was looked up."""


@cache
def optimizer_of(name: str) -> optax.GradientTransformation:
    """Return a rule that makes directions of gradients; step sizes multiply them."""
    rules = {"sgd": optax.identity, "adagrad": optax.scale_by_rss, "adam": optax.scale_by_adam}
    return rules[name]()


def loss_of(
    layers: Layers, vectors: jax.Array, dense: jax.Array, labels: jax.Array, bits: int | None
) -> jax.Array:
    """Return the mean log loss of a batch, float32 ``()``."""
    return log_loss(logits(layers, vectors, dense, bits), labels)


@partial(jax.jit, static_argnames="plan", donate_argnames="state")
def run_steps(
    state: TrainingState, scales: jax.Array, batches: Batches, *, plan: StepPlan
) -> tuple[TrainingState, jax.Array]:
    """Make steps of SGD; return the new state and the steps' losses, float32 ``(s,)``.

    ``scales``, float32 ``(f,)``, are those of the fields where rows are rounded to levels.
    """

    def step(state: TrainingState, batch: Batches) -> tuple[TrainingState, jax.Array]:
        loss, gradients = differentiate(state, scales, batch, plan)
        return descend(state, gradients, batch, plan), loss

    return jax.lax.scan(step, state, batches)


def differentiate(
    state: TrainingState, scales: jax.Array, batch: Batches, plan: StepPlan
) -> tuple[jax.Array, Gradients]:
    """Return the mean loss of one step's impressions, float32 ``()``, and its gradients."""
    vectors = look_up(
        state.tables, batch.rows, scales, levels=plan.levels, execution=plan.execution
    )
    loss, (layers, by_vectors) = jax.value_and_grad(loss_of, argnums=(0, 1))(
        state.layers, vectors, batch.dense, batch.labels, plan.mlp_bits
    )
    return loss, Gradients(layers, batch.rows, by_vectors)


def descend(
    state: TrainingState, gradients: Gradients, batch: Batches, plan: StepPlan
) -> TrainingState:
    """Return tables, layers and the state of their optimiser after a step."""
    layers, of_tables, of_layers = state.layers, *batch.rates
    rule = optimizer_of(plan.optimizer)
    with jax.numpy_dtype_promotion("standard"):  # optax mixes types, which a program may forbid
        directions, optimizer = rule.update(gradients.layers, state.optimizer, layers)
    layers = jax.tree.map(lambda weight, by: weight - of_layers * by, layers, directions)
    tables = update(
        state.tables, gradients.rows, gradients.vectors, of_tables, batch.counters,
        execution=plan.execution,
    )  # fmt: skip
    return TrainingState(tables, layers, optimizer)


@partial(jax.jit, static_argnames="plan")
def predict(
    layers: Layers,
    tables: EmbeddingTables,
    scales: jax.Array,
    rows: jax.Array,
    dense: jax.Array,
    *,
    plan: StepPlan,
) -> jax.Array:
    """Return the logits of a batch, float32 ``(b,)``."""
    vectors = look_up(tables, rows, scales, levels=plan.levels, execution=plan.execution)
    return logits(layers, vectors, dense, plan.mlp_bits)
