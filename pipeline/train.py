"""Stage ``train``: train one fold's model and log each epoch.

After any interruption, the same command continues from the last checkpoint. If MASCOT_LAUNCHER
names a launcher, the processes that it starts share the training. The first one writes the outputs,
which are those of one process.
"""

from __future__ import annotations

import dataclasses
import os
import resource
import signal
import sys
from contextlib import ExitStack, nullcontext

import polars as pl
from tqdm import tqdm

from mascot_jax.data.store import count_training_ratings, read_fold, size_of_fold
from mascot_jax.distributed.program import joined
from mascot_jax.distributed.workers import Workers
from mascot_jax.engine import layout
from mascot_jax.engine.devices import choose_device, computing_on
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.scratch import Scratch, ScratchFolder
from mascot_jax.engine.state import TrainState
from mascot_jax.errors import CheckpointError
from mascot_jax.ids.table import index_ids
from mascot_jax.ids.values import as_column
from mascot_jax.mf.model import Model
from mascot_jax.mf.model_file import save_model
from mascot_jax.mf.train import train_model
from mascot_jax.settings import Params
from mascot_jax.tables.groups import load_groupings
from mascot_jax.training.checkpoint import Checkpoints
from mascot_jax.training.epoch_bar import WritingBar
from mascot_jax.training.fingerprint import fingerprint
from mascot_jax.training.interactions import merged
from mascot_jax.training.problem import Prepared, Problem, make_problem, prepare
from mascot_jax.training.records import EpochRecord, Progress
from mascot_jax.training.shareable import backend_among, check_alike, execution_among, refuse
from mascot_jax.training.signals import deferred_signals
from pipeline import exit_code
from pipeline.common import paths
from pipeline.common.hardware import describe_hardware
from pipeline.common.launcher import hand_over
from pipeline.common.stage import run_fold_stage
from pipeline.epoch_log import EpochLog


def train(params: Params, fold: int, *, distributed: bool) -> None:
    """Train on all folds but one, logging the error on that fold after each epoch."""
    if not distributed:
        hand_over("pipeline.train", fold)
    else:
        refuse(params.train, params.run)  # before it waits for the others
    place = joined(None, exit_code, params.run.backend) if distributed else nullcontext()
    with place as workers:
        stopped_by = _train_fold(params, fold, workers)
    if stopped_by:  # the status of a program that the signal has ended, so that DVC stops, too
        raise SystemExit(128 + stopped_by)


def _train_fold(params: Params, fold: int, workers: Workers | None) -> int:
    """Train; save the model and return 0, or return the signal that has stopped it."""
    device = choose_device(backend_among(params.train, params.run, workers))
    trained_on = device if workers is None else workers.here[0][1]
    leads = workers is None or workers.leads
    with computing_on(device), WritingBar(show=None if leads else False) as bar:
        problem = _read(fold, params, bar).judged(params.train)
        plan = problem.plan(params.train, trained_on.platform)
        execution = execution_among(plan, params.run, workers)
        prepared = prepare(problem, plan, execution)
        del problem  # ``prepared`` holds its ratings in another order
        bar.close()
        checkpoints = _checkpoints(fold, prepared, params.run.checkpoint_every, workers)
        model, times, stopped_by = _train(fold, prepared, execution, checkpoints, workers)
    if workers is not None and not workers.leads:
        return stopped_by
    if stopped_by:
        _say_what_is_kept(checkpoints)
        return stopped_by
    paths.model(fold).parent.mkdir(parents=True, exist_ok=True)
    digest = save_model(_with_ids(model, params, fold), paths.model(fold))
    paths.write_json(
        paths.timing(fold), {"model": digest, **times, **describe_hardware(trained_on)}
    )
    if checkpoints is not None:
        checkpoints.remove()
    return 0


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
        folder.expected = layout.WRITTEN * len(scratch)
    data = read_fold(paths.SPLIT, fold, None if scratch is None else scratch.ratings())
    train = data.train_user, data.train_item, data.train_rating
    return make_problem(
        merged(train) if settings.of_interactions else train,
        *load_groupings(paths.groups(fold)),
        test=(data.test_user, data.test_item, data.test_rating),
        low=data.low,
        high=data.high,
        scratch=scratch,
        expendable=True,
    )


def _checkpoints(
    fold: int, prepared: Prepared, every: int | None, workers: Workers | None
) -> Checkpoints | None:
    """Return where to keep progress, None if nowhere; processes are first seen to be alike."""
    if every is None and workers is None:
        return None
    identity = fingerprint(prepared)
    if workers is not None:
        check_alike(workers, identity | {"run.checkpoint_every": every})
    if every is None:
        return None
    return Checkpoints(paths.checkpoint(fold), every, identity, workers=workers)


def _train(
    fold: int,
    prepared: Prepared,
    execution: Execution,
    checkpoints: Checkpoints | None,
    workers: Workers | None,
) -> tuple[Model, dict[str, float], int]:
    """Return the model, what is timed, and the signal that has stopped any process, or 0.

    Timed are seconds and updates, the peak bytes of this process, and the threads of all.
    """
    leads, updates = workers is None or workers.leads, len(prepared.ratings)
    start = None if checkpoints is None else _load(checkpoints, say=leads)
    records = [] if start is None else list(start.records)
    with ExitStack() as stack:
        log = stack.enter_context(EpochLog(fold, prepared)) if leads else None
        bar = tqdm(
            total=prepared.plan.epochs,
            initial=len(records),
            desc=f"fold {fold}",
            unit="epoch",
            disable=None if leads else True,
        )
        stack.enter_context(bar)
        interruption = stack.enter_context(deferred_signals(_announce))

        def add(record: EpochRecord) -> None:
            if log is not None:
                log.add(record)

        for record in records:
            add(record)

        def on_epoch(record: EpochRecord, _: TrainState) -> bool:
            records.append(record)
            add(record)
            bar.set_postfix(_test_scores(record), refresh=False)
            bar.update()
            return interruption.requested

        model = train_model(
            prepared, execution, on_epoch, start=start, checkpoints=checkpoints, workers=workers
        )
    signalled = int(interruption.signal or 0)
    times = {
        "train_seconds": sum(record.seconds for record in records),
        "updates": updates * len(records),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "threads": execution.threads * (1 if workers is None else len(workers)),
    }
    return model, times, signalled if workers is None else workers.largest(signalled)


def _test_scores(record: EpochRecord) -> dict[str, str]:
    scores = {"rmse": record.test_rmse, "ndcg": record.test_ndcg}
    return {name: f"{score:.4f}" for name, score in scores.items() if score is not None}


def _load(checkpoints: Checkpoints, *, say: bool) -> Progress | None:
    start, found = None, ""
    try:
        start = checkpoints.load()
    except CheckpointError as error:  # changed parameters or data are no mistake
        found = f"{error}\ntraining starts from the beginning\n"
    if start is not None:
        found = f"{checkpoints.path}: going on after {checkpoints.saved} epochs\n"
    if say:
        sys.stderr.write(found)
    return start


def _announce() -> None:
    os.write(2, b"\nstopping after this epoch; once more: at once\n")


def _say_what_is_kept(checkpoints: Checkpoints | None) -> None:
    if checkpoints is None:
        kept = "nothing is kept, as run.checkpoint_every is null"
    elif checkpoints.failure is not None:
        kept = str(checkpoints.failure)
    else:
        kept = f"{checkpoints.saved} epochs are kept: the same command goes on from there"
    sys.stderr.write(f"stopped: {kept}\n")


if __name__ == "__main__":
    # A second Ctrl-C ends the process even within an epoch; Python's own handler would not.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    run_fold_stage(train, shared=True)
