"""Stage ``train``: one fold's model, its epochs logged as they pass."""

from __future__ import annotations

import os
import resource

import jax
from tqdm import tqdm

from mascot_jax.data.store import FoldRatings, read_fold
from mascot_jax.devices import choose_device
from mascot_jax.fit import EpochRecord
from mascot_jax.grouping import Grouping
from mascot_jax.grouping_file import load_groupings
from mascot_jax.kernels import Execution
from mascot_jax.model import Model
from mascot_jax.model_file import save_model
from mascot_jax.preparation import Prepared, prepare
from mascot_jax.ratings import relabelled_ratings
from mascot_jax.scoring import HeldOut
from mascot_jax.settings import Params, TrainSettings
from mascot_jax.state import TrainState
from mascot_jax.train_model import train_model
from pipeline import paths
from pipeline.epoch_log import EpochLog
from pipeline.hardware import describe_hardware
from pipeline.stage import run_fold_stage


def train(params: Params, fold: int) -> None:
    """Train on all folds but one, logging after each epoch the error on that one."""
    settings = params.train.resolved()
    device = choose_device(settings.device)
    settings = settings.on(device.platform)
    with jax.default_device(device):
        model, times = _train(settings, fold)
    paths.model(fold).parent.mkdir(parents=True, exist_ok=True)
    digest = save_model(model, paths.model(fold))
    paths.write_json(paths.timing(fold), {"model": digest, **times, **describe_hardware(device)})


def _train(settings: TrainSettings, fold: int) -> tuple[Model, dict[str, float]]:
    """Return the model, and what it took to train it."""
    threads = settings.threads or len(os.sched_getaffinity(0))
    execution = Execution(threads, writes=settings.writes)
    data = read_fold(paths.SPLIT, fold)
    users, items = load_groupings(paths.groups(fold))
    low, high = data.low, data.high
    prepared, held_out = _prepare(data, users, items, settings)
    del data  # its arrays are as large as the ratings
    seconds = 0.0
    epochs = 0
    with (
        EpochLog(fold, users, items, settings) as log,
        tqdm(total=settings.epochs, desc=f"fold {fold}", unit="epoch", disable=None) as bar,
    ):

        def on_epoch(record: EpochRecord, state: TrainState) -> None:
            nonlocal seconds, epochs
            seconds += record.seconds
            epochs += 1
            totals = held_out.score(state.users, state.items, settings.factors, execution)
            log.add(record, state, totals.rmse)
            bar.set_postfix(rmse=f"{totals.rmse:.4f}", refresh=False)
            bar.update()

        model = train_model(
            prepared, users, items, settings, execution, low=low, high=high, on_epoch=on_epoch
        )
    return model, {
        "train_seconds": seconds,
        "updates": len(prepared.ratings) * epochs,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "threads": threads,
    }


def _prepare(
    data: FoldRatings, users: Grouping, items: Grouping, settings: TrainSettings
) -> tuple[Prepared, HeldOut]:
    """Relabel the training and the test ratings by the rows that grouping gave users and items."""
    rows = users.row_of, items.row_of
    prepared = prepare(
        relabelled_ratings(data.train_user, data.train_item, data.train_rating, *rows),
        users,
        items,
        settings,
    )
    test_rows = rows[0][data.test_user], rows[1][data.test_item]
    return prepared, HeldOut(*test_rows, data.test_rating, prepared.rule)


if __name__ == "__main__":
    run_fold_stage(train)
