"""``mascot train``: train a model on a file of ratings and write a model file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from mascot_jax.command.options import checked_settings, train_settings
from mascot_jax.command.output import print_json, warn, warnings_as_messages
from mascot_jax.command.progress import Display
from mascot_jax.command.sharing import sharing
from mascot_jax.command.tables import check_output, open_ratings, read_values
from mascot_jax.distributed.workers import Workers
from mascot_jax.engine.state import TrainState
from mascot_jax.errors import (
    BaselineWarning,
    PruningWarning,
    RatingsWarning,
    SaveError,
    SettingsError,
)
from mascot_jax.mf.advice import warn_if_worse
from mascot_jax.mf.fit import fit_ratings
from mascot_jax.mf.interactions import Source, read_interactions
from mascot_jax.mf.model import Model
from mascot_jax.mf.model_file import save_model
from mascot_jax.settings import RegroupSettings, RunSettings, TrainSettings, backend_for
from mascot_jax.training.checkpoint import CheckpointWarning, remove_checkpoint
from mascot_jax.training.records import EpochRecord
from mascot_jax.training.signals import deferred_signals

_SHOWN: Final = (CheckpointWarning, RatingsWarning, BaselineWarning, PruningWarning)


def run(args: argparse.Namespace) -> int:
    """Train and save; return 0, or 128 + the signal that stopped training (130 for Ctrl-C)."""
    checked = checked_settings(args, train_settings)
    settings, _, how = checked
    with sharing(args, settings, how) as workers:
        return _train(args, checked, workers)


def _train(
    args: argparse.Namespace,
    checked: tuple[TrainSettings, RegroupSettings, RunSettings],
    workers: Workers | None,
) -> int:
    settings, groups, how = checked
    leads = workers is None or workers.leads
    checkpoint = Path(f"{args.output}.checkpoint")
    if leads:
        check_output(args.output, read=[args.ratings])
        _check_nothing_is_lost(args, checkpoint)
    with _read(args, settings, how) as ratings:
        display = Display(ratings.size, settings, as_json=args.json, quiet=not leads)
        model, signal = _fit(
            ratings, settings, groups, how, display, checkpoint, workers, resume=args.resume
        )
    if leads:
        _finish(args, settings, model, ratings.size, display, checkpoint, signal)
    return 128 + signal if signal else 0


@contextmanager
def _read(args: argparse.Namespace, settings: TrainSettings, how: RunSettings) -> Iterator[Source]:
    """Yield the ratings; for a training on disk, without holding them."""
    if how.scratch is None:
        yield read_interactions(read_values(args, args.ratings, settings))
        return
    backend_for(settings, how)  # refuses what cannot be done on disk, before the file is read
    with open_ratings(args, args.ratings) as ratings:
        yield ratings


def _finish(
    args: argparse.Namespace,
    settings: TrainSettings,
    model: Model,
    ratings: int,
    display: Display,
    checkpoint: Path,
    signal: int,
) -> None:
    """Save the model, and report; ``signal`` is what has stopped training, 0 if it is done."""
    digest = _save(model, args.output, checkpoint)
    if not signal:
        remove_checkpoint(checkpoint)
    report = {
        "event": "model",
        "model": args.output,
        "sha256": digest,
        "users": len(model.users),
        "items": len(model.items),
        "objective": settings.objective,
        "ratings": ratings,
        "validation": settings.validation,
        "epochs_trained": model.epochs_trained,
        **display.summary(model.epochs_trained),
        "interrupted": bool(signal),
        "checkpoint": str(checkpoint) if checkpoint.is_file() else None,
    }
    if args.json:
        print_json(report)
    else:
        _print_for_people(report)
    if display.popular is not None and report.get("validation_ndcg") is not None:
        _warn_if_less(report["validation_ndcg"], display.popular)
    if display.baselines is not None and report["validation_rmse"] is not None:
        with warnings_as_messages(BaselineWarning):
            warn_if_worse(report["validation_rmse"], display.held_out, display.baselines)


def _check_nothing_is_lost(args: argparse.Namespace, checkpoint: Path) -> None:
    if checkpoint.is_file() and not args.resume:
        raise SettingsError(
            f"{checkpoint}: a training that was cut short has left this: --resume goes on from it; "
            "remove it to start anew"
        )


def _fit(
    ratings: Source,
    settings: TrainSettings,
    groups: RegroupSettings,
    how: RunSettings,
    display: Display,
    checkpoint: Path,
    workers: Workers | None,
    *,
    resume: bool,
) -> tuple[Model, int]:
    """Return the model, and the signal that has stopped training in any process, or 0."""
    with warnings_as_messages(*_SHOWN), display, deferred_signals(_announce) as interruption:

        def on_epoch(record: EpochRecord, _: TrainState) -> bool:
            display.add(record)
            return interruption.requested

        model = fit_ratings(
            ratings,
            settings,
            groups,
            how,
            on_start=display.begin,
            on_epoch=on_epoch,
            checkpoint=checkpoint,
            resume=resume,
            on_write=display.note_written,
            workers=workers,
        )
    signal = interruption.signal or 0
    return model, signal if workers is None else workers.largest(signal)


def _warn_if_less(ndcg: float, popular: float) -> None:
    if ndcg < popular:
        warn(
            f"the lists' NDCG of {ndcg:.4f} is lower than that of the most popular items, "
            f"{popular:.4f}: train with settings of your own left out, or recommend what is popular"
        )


def _announce() -> None:
    os.write(2, b"\nmascot: stopping after this epoch; once more: at once\n")


def _save(model: Model, path: str, checkpoint: Path) -> str:
    try:
        return save_model(model, path)
    except SaveError as error:
        if checkpoint.is_file():
            raise SaveError(
                f"{error}; nothing is lost: {checkpoint} has it all, and the same command with "
                "--resume saves it"
            ) from error
        raise


def _print_for_people(report: dict[str, Any]) -> None:
    print(
        f"{report['model']}: {report['users']} users and {report['items']} items from "
        f"{report['ratings']} {report['objective']}, {report['epochs_trained']} epochs, "
        f"{report['seconds']:.1f} s"
    )
    if report["validation_rmse"] is not None:
        print(
            f"RMSE {report['validation_rmse']:.4f} on the held-out {report['validation']:.0%} of "
            "the ratings, which the model was not trained on; --validation 0 trains on all"
        )
        print(
            f"to compare with: RMSE {report['rmse_of_mean']:.4f} of predicting the mean, "
            f"{report['rmse_of_biases']:.4f} of biases of users and items alone"
        )
    if report.get("validation_ndcg") is not None:
        print(
            f"NDCG {report['validation_ndcg']:.4f} of lists of 10, by the held-out "
            f"{report['validation']:.0%} of the interactions, which the model was not trained on; "
            "--validation 0 trains on all"
        )
        print(f"to compare with: NDCG {report['ndcg_of_popularity']:.4f} of the most popular items")
    if report["interrupted"]:
        rest = f"; --resume goes on from {report['checkpoint']}" if report["checkpoint"] else ""
        warn(f"interrupted: the model so far is saved{rest}")
