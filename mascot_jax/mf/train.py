"""From prepared ratings to a model: initial factors, the training loop, what it moved."""

from __future__ import annotations

from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.state import TrainState
from mascot_jax.mf.model import Model, model_from_state
from mascot_jax.settings import TrainSettings
from mascot_jax.tables.groups import Grouping
from mascot_jax.tables.traffic import Traffic
from mascot_jax.training.checkpoint import Checkpoints
from mascot_jax.training.initial import initial_state
from mascot_jax.training.loop import OnEpoch, fit
from mascot_jax.training.problem import Prepared
from mascot_jax.training.records import EpochRecord, Progress
from mascot_jax.training.scoring import HeldOut


def train_model(
    prepared: Prepared,
    users: Grouping,
    items: Grouping,
    settings: TrainSettings,
    execution: Execution,
    *,
    low: float,
    high: float,
    on_epoch: OnEpoch | None = None,
    test: HeldOut | None = None,
    start: Progress | None = None,
    checkpoints: Checkpoints | None = None,
) -> Model:
    """Train a model on JAX's default device.

    Parameters
    ----------
    prepared
        What ``preparation.prepare`` made for the same groups and settings.
    users, items
        Groups of the rows.
    settings, execution
        How to train, and how to run.
    low, high
        The range that ratings are given on.
    on_epoch, test, checkpoints
        As for ``fit``.
    start
        What ``checkpoints.load`` returned, or a state to begin with; None begins with the seed's
        factors.

    Raises
    ------
    DivergenceError
        At the end of the first epoch whose factors are not all finite.
    """
    settings = settings.resolved()
    traffic = Traffic(users.visits, items.visits, settings.storages)

    def count(record: EpochRecord, state: TrainState) -> bool:
        traffic.add_epoch(record.users.codes, record.items.codes)
        return on_epoch is not None and bool(on_epoch(record, state))

    if start is None:
        start = Progress(initial_state(users.starts, items.starts, settings))
    for record in start.records:
        traffic.add_epoch(record.users.codes, record.items.codes)
    state = fit(start, prepared, settings, execution, count, test=test, checkpoints=checkpoints)
    return model_from_state(
        state,
        users,
        items,
        # How often it was saved on the way is no part of what it is.
        settings.model_copy(update={"checkpoint_every": None}),
        rule=prepared.rule,
        low=low,
        high=high,
        traffic=traffic.shares,
    )
