"""Stage ``train``: train the model; after any interruption, go on from the last checkpoint."""

from __future__ import annotations

import signal
import sys
from typing import Any

from tqdm import tqdm

from mascot_jax.clicks.data import ClickData
from mascot_jax.clicks.store import read_encoder, read_parts
from mascot_jax.dlrm.estimator import ClickModel
from mascot_jax.dlrm.fit import TIMES
from mascot_jax.dlrm.workers import offer_devices
from mascot_jax.errors import CheckpointError
from mascot_jax.settings.click_params import ClickParams
from pipeline.clicks import entry
from pipeline.common import paths


def train(params: ClickParams) -> None:
    """Train, scoring the validation rows after each epoch."""
    offer_devices(params.train.workers)
    parts = read_parts(entry.ENCODED, "train", "validation")
    model = ClickModel(**params.train.model_dump(), **params.run.model_dump())
    try:
        _fit(model, *parts)
    except CheckpointError as error:  # changed parameters or data are no mistake
        sys.stderr.write(f"{error}\ntraining starts from the beginning\n")
        entry.CHECKPOINT.unlink()
        _fit(model, *parts)
    # Read again, for its ids: during training these would take more memory than tables in INT4.
    model.save(entry.MODEL, read_encoder(entry.ENCODED))
    epochs = [
        {name: value for name, value in record.items() if name not in TIMES}
        for record in model.history_
    ]
    paths.write_json(entry.EPOCHS, epochs)
    entry.CHECKPOINT.unlink(missing_ok=True)


def _fit(model: ClickModel, data: ClickData, validation: ClickData) -> None:
    with tqdm(total=model.epochs, unit="epoch", disable=None) as bar:

        def on_epoch(record: dict[str, Any]) -> None:
            bar.n = record["epoch"]
            shown = {name: record[f"validation_{name}"] for name in ("auc", "log_loss")}
            bar.set_postfix({name: value for name, value in shown.items() if value is not None})

        model.fit(
            data,
            validation if len(validation) else None,
            on_epoch=on_epoch,
            checkpoint=entry.CHECKPOINT,
            resume=True,
        )


if __name__ == "__main__":
    # Ctrl-C ends the process once the epoch is in the checkpoint; Python's own handler would trace.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    entry.run_click_stage(train)
