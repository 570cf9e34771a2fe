"""Stage ``train``: train one fold's model and log each epoch.

After any interruption, the same command continues from the last checkpoint.
"""

from __future__ import annotations

import dataclasses
import os
import resource
import signal
import sys

import polars as pl
from tqdm import tqdm

from mascot_jax.data.store import count_training_ratings, read_fold, size_of_fold
from mascot_jax.engine.devices import choose_device, computing_on, execution_of
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.scratch import Scratch, ScratchFolder
from mascot_jax.engine.state import TrainState
from mascot_jax.errors import CheckpointError
from mascot_jax.ids.table import index_ids
from mascot_jax.ids.values import as_column
from mascot_jax.mf.model import Model
from mascot_jax.mf.model_file import save_model
from mascot_jax.mf.train import train_model
from mascot_jax.settings import Params, backend_for
from mascot_jax.tables.groups import load_groupings
from mascot_jax.training.checkpoint import Checkpoints
from mascot_jax.training.epoch_bar import WritingBar
from mascot_jax.training.fingerprint import fingerprint
from mascot_jax.training.interactions import merged
from mascot_jax.training.problem import Prepared, Problem, make_problem, prepare
from mascot_jax.training.records import EpochRecord, Progress
from mascot_jax.training.signals import Interruption, deferred_signals
from pipeline.common import paths
from pipeline.common.hardware import describe_hardware
from pipeline.common.stage import run_fold_stage
from pipeline.epoch_log import EpochLog


def train(params: Params, fold: int) -> None:
    """Train on all folds but one, logging the error on that fold after each epoch."""
    device = choose_device(backend_for(params.train, params.run))
    with computing_on(device), WritingBar(show=None) as bar:
        problem = _read(fold, params, bar).judged(params.train)
        plan = problem.plan(params.train, device.platform)
        execution = execution_of(plan, params.run)
        prepared = prepare(problem, plan, execution)
        del problem  # ``prepared`` holds its ratings in another order
        bar.close()
        checkpoints = _checkpoints(fold, prepared, params.run.checkpoint_every)
        model, times = _train(fold, prepared, execution, checkpoints)
    paths.model(fold).parent.mkdir(parents=True, exist_ok=True)
    digest = save_model(_with_ids(model, params, fold), paths.model(fold))
    paths.write_json(paths.timing(fold), {"model": digest, **times, **describe_hardware(device)})
    if checkpoints is not None:
        checkpoints.remove()


def _with_ids(model: Model, params: Params, fold: int) -> Model:
    """Return the model with ids and rating counts, which make it usable without the data."""
    sides = []
    for side, path, counts in zip(
        (model.users, model.items),
        (paths.USER_IDS, paths.ITEM_IDS),
        count_training_ratings(paths.SPLIT, fold),
        strict=True,
    ):
        ids, _ = index_ids(as_column(pl.read_parquet(path)["id"], path.stem))  # ascending, as split
        sides.append(side.named(ids, counts))
    return dataclasses.replace(
        model,
        users=sides[0],
        items=sides[1],
        regroup=params.regroup,
        decided=params.train.left_to_ratings,
    )


def _read(fold: int, params: Params, bar: WritingBar) -> Problem:
    settings, scratch = params.train, None
    if params.run.scratch is not None:
        folder = ScratchFolder(params.run.scratch, bar.note)
        scratch = Scratch(folder, size_of_fold(paths.SPLIT, fold))
        folder.expected = 2 * scratch.size  # laid out, it is written twice
    data = read_fold(paths.SPLIT, fold, None if scratch is None else scratch.ratings())
    train = data.train_user, data.train_item, data.train_rating
    return make_problem(
        merged(train) if settings.of_interactions else train,
        *load_groupings(paths.groups(fold)),
        test=(data.test_user, data.test_item, data.test_rating),
        low=data.low,
        high=data.high,
        scratch=scratch,
        expendable=not settings.of_interactions,
    )


def _checkpoints(fold: int, prepared: Prepared, every: int | None) -> Checkpoints | None:
    if every is None:
        return None
    return Checkpoints(paths.checkpoint(fold), every, fingerprint(prepared))


def _train(
    fold: int, prepared: Prepared, execution: Execution, checkpoints: Checkpoints | None
) -> tuple[Model, dict[str, float]]:
    """Return the model, and the seconds, updates, peak bytes and threads of its training."""
    start = None if checkpoints is None else _load(checkpoints)
    records = [] if start is None else list(start.records)
    with (
        EpochLog(fold, prepared) as log,
        tqdm(
            total=prepared.plan.epochs,
            initial=len(records),
            desc=f"fold {fold}",
            unit="epoch",
            disable=None,
        ) as bar,
        deferred_signals(_announce) as interruption,
    ):
        for record in records:
            log.add(record)

        def on_epoch(record: EpochRecord, _: TrainState) -> bool:
            records.append(record)
            log.add(record)
            bar.set_postfix(_test_scores(record), refresh=False)
            bar.update()
            return interruption.requested

        model = train_model(prepared, execution, on_epoch, start=start, checkpoints=checkpoints)
    _stop_if_asked(interruption, checkpoints)
    return model, {
        "train_seconds": sum(record.seconds for record in records),
        "updates": len(prepared.ratings) * len(records),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "threads": execution.threads,
    }


def _test_scores(record: EpochRecord) -> dict[str, str]:
    scores = {"rmse": record.test_rmse, "ndcg": record.test_ndcg}
    return {name: f"{score:.4f}" for name, score in scores.items() if score is not None}


def _load(checkpoints: Checkpoints) -> Progress | None:
    try:
        start = checkpoints.load()
    except CheckpointError as error:  # changed parameters or data are no mistake
        sys.stderr.write(f"{error}\ntraining starts from the beginning\n")
        return None
    if start is not None:
        sys.stderr.write(f"{checkpoints.path}: going on after {checkpoints.saved} epochs\n")
    return start


def _announce() -> None:
    os.write(2, b"\nstopping after this epoch; once more: at once\n")


def _stop_if_asked(interruption: Interruption, checkpoints: Checkpoints | None) -> None:
    """Exit with the status of a program killed by the signal, so that DVC stops, too."""
    if interruption.signal is None:
        return
    if checkpoints is None:
        kept = "nothing is kept, as run.checkpoint_every is null"
    elif checkpoints.failure is not None:
        kept = str(checkpoints.failure)
    else:
        kept = f"{checkpoints.saved} epochs are kept: the same command goes on from there"
    sys.stderr.write(f"stopped: {kept}\n")
    raise SystemExit(128 + interruption.signal)


if __name__ == "__main__":
    # A second Ctrl-C ends the process even within an epoch; Python's own handler would not.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    run_fold_stage(train)
