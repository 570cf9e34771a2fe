"""Train a click model: epochs of steps, records, checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from mascot_jax.base.click_metrics import click_metrics
from mascot_jax.clicks.data import ClickData
from mascot_jax.dlrm.batches import epoch_of, steps_per_epoch
from mascot_jax.dlrm.checkpoint import ClickCheckpoints
from mascot_jax.dlrm.model import ClickNetwork, check_fits, logits_of
from mascot_jax.dlrm.network import initial_layers
from mascot_jax.dlrm.steps import StepPlan, TrainingState, optimizer_of
from mascot_jax.dlrm.tables import field_scales, initial_tables, pack, tiers_of
from mascot_jax.dlrm.tiers import Tiers
from mascot_jax.dlrm.workers import Alone, Runner, Workers
from mascot_jax.engine.kernels import Execution
from mascot_jax.errors import DataError, DivergenceError
from mascot_jax.settings.clicks import ClickSettings

Record = dict[str, Any]
"""What is known of an epoch: plain numbers by name, None where there is none."""
OnEpoch = Callable[[Record], object]

TIMES: Final = ("seconds", "impressions_per_second")
"""What differs on every run in a record."""
_VALIDATION: Final = ("auc", "log_loss", "accuracy", "calibration")


class Training:
    """One training of a click model.

    Parameters
    ----------
    train
        Impressions to train on; their counts decide which rows are visited often.
    validation
        Impressions to score after each epoch; None: none.
    settings
        What is trained.
    execution
        Threads and instruction set of the kernels.
    platform
        ``cpu`` or ``gpu``: of the devices that several workers are.

    Raises
    ------
    DataError
        If the data cannot be trained on.
    """

    def __init__(
        self,
        train: ClickData,
        validation: ClickData | None,
        settings: ClickSettings,
        execution: Execution,
        platform: str = "cpu",
    ) -> None:
        if train.fields == 0:
            raise DataError("click data: there must be at least one field of ids")
        self._train, self._validation, self._settings = train, validation, settings
        self._steps = steps_per_epoch(train, settings)
        self._tiers = tiers_of(settings, train)
        self._dense = train.dense.shape[1]
        if validation is not None:
            check_fits(validation, self._tiers, self._dense)
        self._execution = execution
        levels = 2 ** (settings.table_bits - 1) - 1 if settings.table_bits else 0
        self._plan = StepPlan(settings.mlp_optimizer, levels, settings.mlp_bits, execution)
        shared = settings.workers > 1
        self._runner: Runner = Workers(settings, self._tiers, platform) if shared else Alone()

    def run(
        self, on_epoch: OnEpoch, checkpoints: ClickCheckpoints | None, *, resume: bool
    ) -> tuple[ClickNetwork, list[Record]]:
        """Train; return the model and the record of each epoch.

        Training ends early where ``on_epoch`` returns true.

        Raises
        ------
        CheckpointError
            If the checkpoint to resume from is damaged or of another training.
        DivergenceError
            If a batch has a loss that is not finite.
        """
        runner, history = self._runner, list[Record]()
        begun = self._start()
        training_bytes = begun.tables.nbytes + self._tiers.nbytes
        start = runner.start(begun)
        del begun
        kept = checkpoints.load(start) if checkpoints and resume else None
        if kept is not None:
            start, history = kept
        state = runner.place(start)
        del start  # tables are large, and steps replace them
        for epoch in range(len(history), self._settings.epochs):
            state, record = self._epoch(state, epoch)
            history.append(record)
            stop = bool(self.largest(int(bool(on_epoch(dict(record))))))
            last = stop or epoch + 1 == self._settings.epochs
            if checkpoints and checkpoints.due(len(history), last=last):
                checkpoints.save(runner.host(state), history)
            if last:
                break
        return self._deployed(runner.training(state), training_bytes, len(history)), history

    def largest(self, value: int) -> int:
        """Return the largest value, int32, of any process; all wait for each other here."""
        return self._runner.largest(value)

    def _start(self) -> TrainingState:
        layers = initial_layers(self._settings, self._dense, self._train.fields)
        tables = initial_tables(self._settings, self._tiers, self._execution)
        optimizer = optimizer_of(self._settings.mlp_optimizer).init(layers)
        return TrainingState(tables, layers, optimizer)

    def _epoch(self, state: Any, epoch: int) -> tuple[Any, Record]:
        began = time.perf_counter()
        runner, plan = self._runner, self._plan_of(epoch)
        scales = jnp.zeros(self._tiers.fields, jnp.float32)
        total, last = 0.0, None
        for first, batches in epoch_of(self._train, self._tiers, self._settings, epoch):
            if plan.levels and first % self._settings.scale_every == 0:
                scales = self._scales(runner.training(state), plan)
            # While a program runs, the next one's batches are made.
            state, losses = runner.run(state, scales, batches, plan)
            if last is not None:
                total += self._checked(epoch, *last)
            last = first, losses
        assert last is not None
        total += self._checked(epoch, *last)
        record: Record = {
            "epoch": epoch + 1,
            "train_log_loss": total / self._steps,
            "seconds": time.perf_counter() - began,
        }
        record["impressions_per_second"] = (
            self._steps * self._settings.batch_size / record["seconds"]
        )
        if self._settings.workers > 1:
            record["sent_bytes_per_step"] = runner.sent_bytes(state, self._tiers.fields)
        return state, record | self._scored(runner.training(state), plan)

    def _checked(self, epoch: int, first: int, losses: jax.Array) -> float:
        """Return the sum of losses, or raise an error if one is not finite."""
        values = np.asarray(losses, np.float64)
        if not np.isfinite(values).all():
            batch = first + int(np.flatnonzero(~np.isfinite(values))[0])
            raise DivergenceError(
                f"epoch {epoch + 1}, batch {batch + 1}: the loss is {values[batch - first]}: lower "
                f"learning_rate ({self._settings.learning_rate:g}), or bring the dense inputs to a "
                "similar scale, such as by their logarithm"
            )
        return float(values.sum())

    def _plan_of(self, epoch: int) -> StepPlan:
        """Return the plan of an epoch: the first ones may round nothing."""
        if epoch < self._settings.float_epochs:
            return self._plan._replace(levels=0, mlp_bits=None)
        return self._plan

    def _scales(self, state: TrainingState, plan: StepPlan) -> jax.Array:
        """Return the fields' scales, for rows that are rounded when they are looked up."""
        if not plan.levels:
            return jnp.zeros(self._tiers.fields, jnp.float32)
        rows, levels = self._tiers.wide, plan.levels
        scales: jax.Array = field_scales(state.tables.wide, rows=rows, levels=levels)
        return scales

    def _scored(self, state: TrainingState, plan: StepPlan) -> Record:
        values: dict[str, float | None] = dict.fromkeys(_VALIDATION)
        if self._validation is not None and len(self._validation):
            scales = self._scales(state, plan)
            logits = logits_of(
                state.layers, state.tables, scales, self._tiers, self._validation, plan
            )
            values = click_metrics(self._validation.labels, logits)._asdict()
        return {f"validation_{name}": values[name] for name in _VALIDATION}

    def _deployed(self, state: TrainingState, training_bytes: int, epochs: int) -> ClickNetwork:
        tables, tiers, scales = state.tables, self._tiers, self._scales(state, self._plan)
        if self._settings.table_bits == 4:
            tables = pack(tables, tiers, scales)
            tiers = Tiers.first(tiers.cardinalities, [0] * tiers.fields)
        return ClickNetwork(
            self._settings,
            tiers,
            self._dense,
            state.layers,
            tables,
            np.asarray(scales),
            training_bytes,
            epochs,
        )
