"""``ClickModel``: fit click data, predict, evaluate, save."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import jax
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.click_metrics import click_metrics, sigmoid
from mascot_jax.base.parameters import Parameters
from mascot_jax.base.tensor_file import Place
from mascot_jax.clicks.data import ClickData
from mascot_jax.clicks.store import encoder_from_tensors, encoder_to_tensors
from mascot_jax.dlrm.checkpoint import ClickCheckpoints, fingerprint
from mascot_jax.dlrm.fit import OnEpoch, Record, Training
from mascot_jax.dlrm.model import ClickNetwork
from mascot_jax.dlrm.model_file import load_click_model, save_click_model
from mascot_jax.engine.cores import usable_cores
from mascot_jax.engine.devices import choose_device, computing_on
from mascot_jax.engine.kernels import Execution
from mascot_jax.errors import DataError, NotFittedError, OneClassWarning
from mascot_jax.settings.clicks import ClickRunSettings, ClickSettings
from mascot_jax.settings.validation import validate
from mascot_jax.training.signals import deferred_signals

if TYPE_CHECKING:
    from mascot_jax.clicks.encoder import Encoder


@dataclass(kw_only=True, eq=False)
class ClickModel(Parameters):
    """A deep learning recommendation model (DLRM): the probability of a click.

    Embedding tables of ids and dense inputs meet in inner products, between two stacks of layers.
    By default the rows of rarely seen ids are packed in INT4 from the first step on, those of
    others in float16, without a float32 copy: rows are updated in float32 and rounded
    stochastically.

    The constructor only stores settings; ``fit`` checks them. On one machine, the same data and
    settings give the same model, bit for bit, for any number of threads.
    """

    preset: str = "int4"
    """``int4``; ``fp32``; or ``dqrm``: float32 tables, rounded to INT4 when they are looked up, as
    in the paper, and packed after training."""
    dimension: int = 16
    """Components of a table row; a multiple of 16."""
    bottom: tuple[int, ...] = (512, 256, 64)
    """Widths of the hidden layers of the dense inputs."""
    top: tuple[int, ...] = (512, 256)
    """Widths of the hidden layers of the interactions."""
    epochs: int = 3
    """Passes over the training data."""
    learning_rate: float = 0.1
    """Step size at the start."""
    schedule: str = "linear"
    """``linear``: step sizes fall to 0 over all epochs; ``constant``."""
    mlp_optimizer: str = "sgd"
    """Optimiser of the layers: ``sgd``, ``adagrad`` or ``adam``. Tables have plain SGD."""
    mlp_learning_rate: float | None = None
    """Step size of the layers at the start; None: ``learning_rate``."""
    batch_size: int = 128
    """Impressions in a step; those that fill no batch are left out of their epoch."""
    storage: str | None = None
    """Storage of table rows: ``float32``, ``float16``, ``int8-row``, ``int4-row``; None: the
    preset's."""
    min_visits_float: int | None = 50
    """Rows with so many visits in the training data or more are in ``float_storage``; None:
    none."""
    float_storage: str | None = None
    """Storage of rows that are visited often: ``float32`` or ``float16``; None: the preset's,
    which is ``float16`` for ``int4``."""
    mlp_bits: int | None = None
    """4 or 8: bits that weights of layers are rounded to when they are used; None: not rounded."""
    float_epochs: int = 0
    """First epochs in which neither looked-up rows nor layers are rounded."""
    scale_every: int = 200
    """``dqrm``: steps between two computations of the tables' scales."""
    workers: int = 1
    """Devices that share each batch and exchange gradients."""
    gradients: str = "float32"
    """How several workers send gradients: ``float32``, ``int8`` or ``int4``."""
    compensation: str = "local"
    """What rounding left out of a worker's gradients of layers, added to its next ones: ``none``,
    ``local`` or, as the paper's code has it, ``paper``."""
    seed: int = 0
    """Seed of initial weights, order of visits and rounding."""
    backend: str = "auto"
    """Where to compute: ``cpu``, ``cuda`` (a GPU) or ``auto``: a GPU if one can be used, and enough
    of them for ``workers``."""
    threads: int | None = None
    """Number of CPU threads of the kernels; None: every core that the process may use."""
    checkpoint_every: int | None = 1
    """Epochs between checkpoints, if ``fit`` is given a file for them."""

    model_: ClickNetwork = field(init=False, repr=False)
    """The learned model, which ``save`` writes."""
    history_: list[Record] = field(init=False, repr=False)
    """Record of each epoch of the last training: ``epoch`` (from 1), ``train_log_loss``,
    ``seconds``, ``impressions_per_second``, and ``validation_auc``, ``_log_loss``, ``_accuracy``,
    ``_calibration``, which are None without validation data; of several workers,
    ``sent_bytes_per_step``, too; not saved."""

    def fit(
        self,
        train: ClickData,
        validation: ClickData | None = None,
        *,
        on_epoch: OnEpoch | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
    ) -> Self:
        """Train on click data; drop what was learned before.

        Parameters
        ----------
        train
            Impressions to train on.
        validation
            Impressions to score after each epoch.
        on_epoch
            Called after every epoch with its record, as in ``history_``; if it returns true,
            training ends there.
        checkpoint
            File for the training's progress, written every ``checkpoint_every`` epochs and at the
            end. If the process is killed, the same call with ``resume`` goes on from there, to the
            same bytes.
        resume
            Resume from the checkpoint, if there is one.

        Raises
        ------
        DataError
            If there are fewer impressions than a batch, no fields, or validation data of other
            fields, inputs or tables.
        SettingsError
            If a setting is invalid.
        BackendError
            If the back end, or so many devices, are not there.
        SaveError
            If no checkpoint can be written.
        CheckpointError
            If the checkpoint to resume from is damaged or of another training.
        DivergenceError
            If a batch has a loss that is not finite.
        KeyboardInterrupt
            After Ctrl-C, at the end of the epoch, with the model learned so far; a second Ctrl-C
            acts at once.
        """
        settings, run = self._settings()
        device, execution = _where(run, settings.workers)
        with deferred_signals() as interruption, computing_on(device):

            def after_epoch(record: Record) -> bool:
                stop = bool(on_epoch(record)) if on_epoch is not None else False
                return stop or interruption.requested

            training = Training(train, validation, settings, execution, device.platform)
            checkpoints = None
            if checkpoint is not None:
                identity = fingerprint(settings, train, validation)
                checkpoints = ClickCheckpoints(checkpoint, run.checkpoint_every, identity)
            self.model_, self.history_ = training.run(after_epoch, checkpoints, resume=resume)
        # The others have stopped with the one that got it.
        stopped_by = training.largest(interruption.signal or 0)
        if stopped_by:  # now that the model is kept
            signal.raise_signal(stopped_by)
        return self

    def predict_proba(self, data: ClickData) -> NDArray[np.float64]:
        """Return the probability of a click of each impression, float64 ``(n,)``.

        Raises
        ------
        NotFittedError
            If nothing has been learned yet.
        DataError
            If the data was encoded for other tables than the model's.
        """
        return sigmoid(self._logits(data).astype(np.float64))

    def evaluate(self, data: ClickData) -> dict[str, float | int | None]:
        """Return ``auc``, ``log_loss``, ``accuracy``, ``calibration`` and the tables' bytes.

        ``calibration`` is predicted clicks / clicks. ``table_bytes_training`` and
        ``table_bytes_deployed`` count rows and all that their use needs. What is not defined is
        None: ``auc`` of one class only, with a warning, and ``calibration`` without clicks.

        Raises
        ------
        DataError
            If there is no impression, or the data was encoded for other tables.
        """
        if len(data) == 0:
            raise DataError("click data: there is no impression to evaluate")
        found = click_metrics(data.labels, self._logits(data))
        if found.auc is None:
            warnings.warn(
                f"all {len(data)} labels are {data.labels[0]}: the AUC is not defined",
                OneClassWarning,
                stacklevel=2,
            )
        return {
            **found._asdict(),
            "table_bytes_training": self.model_.training_bytes,
            "table_bytes_deployed": self.model_.deployed_bytes,
        }

    def export_tables(self) -> list[NDArray[np.float32]]:
        """Return each field's table as predictions use it, float32 ``(rows, dimension)``."""
        with self._using() as (model, execution):
            return [model.rows(field, execution) for field in range(model.tiers.fields)]

    def save(self, path: Place, encoder: Encoder | None = None) -> None:
        """Write the model to a file, atomically: tables as deployed, layers, settings.

        Parameters
        ----------
        path
            The file.
        encoder
            The encoder of the training data, to be kept in the file, so that the model can predict
            for rows as they are read; None keeps that of a loaded model.

        Raises
        ------
        SaveError
            If it cannot be written.
        DataError
            If the encoder is of other tables than the model's.
        """
        if encoder is not None:
            if encoder.cardinalities != self.model_.tiers.cardinalities:
                raise DataError(
                    "the encoder is of other tables than the model's: give the one that encoded "
                    "the training data"
                )
            self.model_ = replace(self.model_, encoder=encoder_to_tensors(encoder))
        save_click_model(self.model_, path)

    @property
    def encoder(self) -> Encoder:
        """The encoder of the training data that was saved with the model.

        Raises
        ------
        DataError
            If none was, or its arrays were altered.
        """
        if self.model_.encoder is None:
            raise DataError("the model file holds no encoder: hand it to save with the model")
        try:
            found = encoder_from_tensors(*self.model_.encoder)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"the model's encoder is damaged: {error}") from error
        if found.cardinalities != self.model_.tiers.cardinalities:
            raise DataError("the model's encoder is damaged: it is of other tables")
        return found

    @classmethod
    def load(cls, path: Place) -> Self:
        """Return the model of a file.

        Raises
        ------
        ModelFileError
            If the file is cut, altered, no click model, or of a version that is too new.
        FileNotFoundError
            If there is no such file.
        """
        model = load_click_model(path)
        loaded = cls(**{name: getattr(model.settings, name) for name in ClickSettings.model_fields})
        loaded.model_ = model
        return loaded

    def _logits(self, data: ClickData) -> NDArray[np.float32]:
        with self._using() as (model, execution):
            return model.logits(data, execution)

    def _settings(self) -> tuple[ClickSettings, ClickRunSettings]:
        params = self.get_params()
        run = {name: params.pop(name) for name in ClickRunSettings.model_fields}
        return validate(ClickSettings, params), validate(ClickRunSettings, run)

    @contextmanager
    def _using(self) -> Iterator[tuple[ClickNetwork, Execution]]:
        """Compute where the settings say; yield the learned model, put there, and how."""
        model = self.model_
        device, execution = _where(self._settings()[1])
        with computing_on(device):
            self.model_ = model.on(device)
            yield self.model_, execution

    def __getattr__(self, name: str) -> Any:
        if name in ("model_", "history_"):
            raise NotFittedError("nothing has been learned yet: call fit, or ClickModel.load")
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")


def _where(run: ClickRunSettings, workers: int = 1) -> tuple[jax.Device, Execution]:
    """Return the device to compute on, of which there are enough for the workers, and how."""
    device = choose_device(run.backend)
    if run.backend == "auto" and workers > jax.device_count(device.platform):
        device = choose_device("cpu")
    return device, Execution(run.threads or usable_cores())
