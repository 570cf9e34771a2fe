"""``mascot train``: train a model on a file of ratings and write a model file."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, Final

from mascot_jax.command.options import given, train_settings
from mascot_jax.command.output import print_json, warn, warnings_as_messages
from mascot_jax.command.progress import Display
from mascot_jax.command.tables import check_output, input_file, read_ratings
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
from mascot_jax.mf.interactions import Interactions, read_interactions
from mascot_jax.mf.model import Model
from mascot_jax.mf.model_file import save_model
from mascot_jax.settings import RegroupSettings, RunSettings, TrainSettings, validate
from mascot_jax.training.checkpoint import CheckpointWarning
from mascot_jax.training.records import EpochRecord
from mascot_jax.training.signals import Interruption, deferred_signals

_SHOWN: Final = (CheckpointWarning, RatingsWarning, BaselineWarning, PruningWarning)


def run(args: argparse.Namespace) -> int:
    """Train and save; return 0, or 128 + the signal that stopped training (130 for Ctrl-C)."""
    settings = validate(TrainSettings, train_settings(given(args, TrainSettings)), "train")
    groups = validate(RegroupSettings, given(args, RegroupSettings), "regroup")
    how = validate(RunSettings, given(args, RunSettings), "run")
    check_output(args.output)
    checkpoint = Path(f"{args.output}.checkpoint")
    _check_nothing_is_lost(args, checkpoint)
    ratings = read_interactions(read_ratings(args, args.ratings))
    display = Display(ratings.ratings.size, settings, as_json=args.json)
    model, interruption = _fit(
        ratings, settings, groups, how, display, checkpoint, resume=args.resume
    )
    digest = _save(model, args.output, checkpoint)
    if checkpoint.is_file() and not interruption.requested:
        checkpoint.unlink()
    report = {
        "event": "model",
        "model": args.output,
        "sha256": digest,
        "users": len(model.users),
        "items": len(model.items),
        "ratings": ratings.ratings.size,
        "validation": settings.validation,
        "epochs_trained": model.epochs_trained,
        **display.summary(model.epochs_trained),
        "interrupted": interruption.requested,
        "checkpoint": str(checkpoint) if checkpoint.is_file() else None,
    }
    if args.json:
        print_json(report)
    else:
        _print_for_people(report)
    if display.baselines is not None and report["validation_rmse"] is not None:
        with warnings_as_messages(BaselineWarning):
            warn_if_worse(report["validation_rmse"], display.held_out, display.baselines)
    return 0 if interruption.signal is None else 128 + interruption.signal


def _check_nothing_is_lost(args: argparse.Namespace, checkpoint: Path) -> None:
    output, ratings = Path(args.output), input_file(args.ratings)
    if output.exists() and ratings.exists() and output.samefile(ratings):
        raise SettingsError(
            f"--output: {args.output!r}: these are the ratings: name another file for the model"
        )
    if checkpoint.is_file() and not args.resume:
        raise SettingsError(
            f"{checkpoint}: a training that was cut short has left this: --resume goes on from it; "
            "remove it to start anew"
        )


def _fit(
    ratings: Interactions,
    settings: TrainSettings,
    groups: RegroupSettings,
    how: RunSettings,
    display: Display,
    checkpoint: Path,
    *,
    resume: bool,
) -> tuple[Model, Interruption]:
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
        )
    return model, interruption


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
        f"{report['ratings']} ratings, {report['epochs_trained']} epochs, "
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
    if report["interrupted"]:
        rest = f"; --resume goes on from {report['checkpoint']}" if report["checkpoint"] else ""
        warn(f"interrupted: the model so far is saved{rest}")
