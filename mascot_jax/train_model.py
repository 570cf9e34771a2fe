"""From prepared ratings to a model: initial factors, the training loop, what it moved."""

from __future__ import annotations

from mascot_jax.fit import EpochRecord, OnEpoch, fit
from mascot_jax.grouping import Grouping
from mascot_jax.initial import initial_state
from mascot_jax.kernels import Execution
from mascot_jax.model import Model, model_from_state
from mascot_jax.preparation import Prepared
from mascot_jax.settings import TrainSettings
from mascot_jax.state import TrainState
from mascot_jax.storage import storages_of
from mascot_jax.traffic import Traffic


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
    start: TrainState | None = None,
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
    on_epoch
        As for ``fit``.
    start
        What to start from, donated to the first epoch; None for random factors.

    Raises
    ------
    DivergenceError
        At the end of the first epoch whose factors are not all finite.
    """
    traffic = Traffic(users.visits, items.visits, storages_of(settings))

    def count(record: EpochRecord, state: TrainState) -> None:
        traffic.add_epoch(record.users.codes, record.items.codes)
        if on_epoch is not None:
            on_epoch(record, state)

    state = start if start is not None else initial_state(users.starts, items.starts, settings)
    state = fit(state, prepared, settings, execution, count)
    return model_from_state(
        state,
        users,
        items,
        settings,
        rule=prepared.rule,
        low=low,
        high=high,
        traffic=traffic.shares,
    )
