"""Train a model on prepared ratings: run the training loop, and count the row traffic."""

from __future__ import annotations

from mascot_jax.base.biases import DEFAULT_DAMPING
from mascot_jax.distributed.workers import Workers
from mascot_jax.engine.early_exit import thresholds_of
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.state import TrainState
from mascot_jax.engine.tables import to_host
from mascot_jax.mf.model import Model, ModelSide
from mascot_jax.tables.groups import Grouping
from mascot_jax.tables.table import Table
from mascot_jax.tables.traffic import Traffic
from mascot_jax.training.checkpoint import Checkpoints
from mascot_jax.training.loop import OnEpoch, begin, train_state
from mascot_jax.training.problem import Prepared
from mascot_jax.training.records import EpochRecord, Progress


def train_model(
    prepared: Prepared,
    execution: Execution,
    on_epoch: OnEpoch | None = None,
    *,
    start: Progress | None = None,
    checkpoints: Checkpoints | None = None,
    workers: Workers | None = None,
) -> Model:
    """Train a model on JAX's default device.

    Parameters
    ----------
    prepared, execution, on_epoch, start, checkpoints, workers
        As for ``training.loop.train_state``.

    Raises
    ------
    DivergenceError
        At the end of the first epoch whose factors are not all finite.
    """
    plan = prepared.plan
    traffic = Traffic(prepared.users.visits, prepared.items.visits, plan.storages)

    def add(record: EpochRecord) -> None:
        codes = record.users.codes, record.items.codes
        traffic.add_epoch(*codes, plan.pruned_to(record.epoch))

    def count(record: EpochRecord, state: TrainState) -> bool:
        add(record)
        return on_epoch is not None and bool(on_epoch(record, state))

    start = start or begin(prepared)
    for record in start.records:
        add(record)
    state = train_state(
        prepared, execution, count, start=start, checkpoints=checkpoints, workers=workers
    )
    return Model(
        plan,
        _side(state.users, prepared.users),
        _side(state.items, prepared.items),
        prepared.rule.mean_rating,
        prepared.low,
        prepared.high,
        traffic.shares,
        int(state.epoch),
        prepared.rule.biases,
        units=prepared.rule.units,
        bias_share=prepared.rule.bias_share,
        lift=prepared.rule.lift,
        thresholds=thresholds_of(state),
        damping=DEFAULT_DAMPING if prepared.rule.biases is None else prepared.damping,
        confidence=prepared.confidence,
    )


def _side(table: Table, grouping: Grouping) -> ModelSide:
    return ModelSide(to_host(table), grouping.order, grouping.warm_rows)
