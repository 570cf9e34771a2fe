"""``mascot clicks``: train a model of clicks, predict, evaluate, inspect."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mascot_jax.base.click_metrics import log_loss_of_mean
from mascot_jax.clicks.data import ClickData
from mascot_jax.command.options import given
from mascot_jax.command.output import (
    print_columns,
    print_json,
    print_table,
    warn,
    warnings_as_messages,
)
from mascot_jax.command.progress import ClickDisplay
from mascot_jax.command.tables import WRITTEN, check_output, need_polars, write_table
from mascot_jax.dlrm.estimator import ClickModel
from mascot_jax.dlrm.model_file import click_model_facts
from mascot_jax.dlrm.workers import offer_devices
from mascot_jax.errors import OneClassWarning, SettingsError
from mascot_jax.settings import ClickColumns, EncodeSettings, validate
from mascot_jax.settings.clicks import ClickRunSettings, ClickSettings
from mascot_jax.training.checkpoint import CheckpointWarning
from mascot_jax.training.signals import Interruption, deferred_signals

if TYPE_CHECKING:
    from mascot_jax.clicks.encoder import Encoder, Parts

_SHOWN_FIELDS: Final = 3


def run(args: argparse.Namespace) -> int:
    """Run the subcommand that ``args.action`` names."""
    return _ACTIONS[args.action](args)


def _train(args: argparse.Namespace) -> int:
    """Train and save; return 0, or 128 + the signal that stopped training."""
    settings = validate(ClickSettings, given(args, ClickSettings), "train")
    how = validate(ClickRunSettings, given(args, ClickRunSettings), "run")
    encode = {"test": 0.0, **given(args, EncodeSettings)}
    validate(EncodeSettings, encode, "encode")
    checkpoint = Path(f"{args.output}.checkpoint")
    check_output(args.output, read=[args.rows])
    _check_nothing_is_lost(checkpoint, resume=args.resume)
    parts = _read(args, encode)
    offer_devices(settings.workers)
    model = ClickModel(**settings.model_dump(), **how.model_dump())
    interruption = _fit(model, parts, checkpoint, args)
    model.save(args.output, parts.encoder)
    if checkpoint.is_file() and not interruption.requested:
        checkpoint.unlink()
    report = _report(args, model, parts, checkpoint, interruption)
    if args.json:
        print_json(report)
    else:
        _print_for_people(report)
    return 0 if interruption.signal is None else 128 + interruption.signal


def _check_nothing_is_lost(checkpoint: Path, *, resume: bool) -> None:
    if checkpoint.is_file() and not resume:
        raise SettingsError(
            f"{checkpoint}: a training that was cut short has left this: --resume goes on from it; "
            "remove it to start anew"
        )


def _read(args: argparse.Namespace, encode: Mapping[str, Any]) -> Parts:
    need_polars()
    from mascot_jax.clicks.read import read_clicks

    return read_clicks(args.rows, name=args.data_set, **given(args, ClickColumns), **encode)


def _fit(
    model: ClickModel, parts: Parts, checkpoint: Path, args: argparse.Namespace
) -> Interruption:
    validation = parts.data["validation"]
    with (
        warnings_as_messages(CheckpointWarning, OneClassWarning),
        ClickDisplay(model.epochs, as_json=args.json) as display,
        deferred_signals(_announce) as interruption,
    ):

        def on_epoch(record: dict[str, Any]) -> bool:
            display.add(record)
            return interruption.requested

        model.fit(
            parts.data["train"],
            validation if len(validation) else None,
            on_epoch=on_epoch,
            checkpoint=checkpoint,
            resume=args.resume,
        )
    return interruption


def _announce() -> None:
    os.write(2, b"\nmascot: stopping after this epoch; once more: at once\n")


def _report(
    args: argparse.Namespace,
    model: ClickModel,
    parts: Parts,
    checkpoint: Path,
    interruption: Interruption,
) -> dict[str, Any]:
    validation = parts.data["validation"]
    last = model.history_[-1]
    return {
        "event": "model",
        "model": args.output,
        "sha256": click_model_facts(args.output)["sha256"],
        "rows": len(parts.data["train"]),
        "clicks": int(np.count_nonzero(parts.data["train"].labels)),
        "validation_rows": len(validation),
        "epochs_trained": model.model_.epochs,
        **{name: value for name, value in last.items() if name.startswith("validation_")},
        "log_loss_of_mean": log_loss_of_mean(validation.labels) if len(validation) else None,
        "table_bytes_training": model.model_.training_bytes,
        "table_bytes_deployed": model.model_.deployed_bytes,
        "seconds": sum(record["seconds"] for record in model.history_),
        "interrupted": interruption.requested,
        "checkpoint": str(checkpoint) if checkpoint.is_file() else None,
    }


def _print_for_people(report: dict[str, Any]) -> None:
    print(
        f"{report['model']}: {report['rows']} rows, {report['clicks']} of them clicks, "
        f"{report['epochs_trained']} epochs, {report['seconds']:.1f} s; tables of "
        f"{report['table_bytes_training'] / 1e6:.2f} MB in training, "
        f"{report['table_bytes_deployed'] / 1e6:.2f} MB deployed"
    )
    if report["validation_rows"]:
        auc = report["validation_auc"]
        shown = "not defined, as all labels are alike" if auc is None else f"{auc:.4f}"
        print(
            f"on {report['validation_rows']} held-out rows: AUC {shown}, log loss "
            f"{report['validation_log_loss']:.4f}, accuracy {report['validation_accuracy']:.4f}; "
            f"to compare with: log loss {report['log_loss_of_mean']:.4f} of predicting their mean"
        )
    if report["interrupted"]:
        rest = f"; --resume goes on from {report['checkpoint']}" if report["checkpoint"] else ""
        warn(f"interrupted: the model so far is saved{rest}")


def _predict(args: argparse.Namespace) -> int:
    """Predict; print the probabilities or write them to a file."""
    check_output(args.output, WRITTEN, read=[args.rows, args.model])
    model, data = _model_and_rows(args, labelled=None)
    probability = model.predict_proba(data)
    columns = {"row": np.arange(len(data)), "probability": probability}
    if args.output:
        write_table(args.output, columns)
    else:
        print_columns(columns, as_json=args.json)
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    """Score the predictions and print the metrics."""
    model, data = _model_and_rows(args, labelled=True)
    with warnings_as_messages(OneClassWarning):
        found = model.evaluate(data)
    figures = {**found, "rows": len(data), "log_loss_of_mean": log_loss_of_mean(data.labels)}
    if args.json:
        print_json(figures)
    else:
        known = {name: value for name, value in figures.items() if value is not None}
        print_table((name.replace("_", " "), value) for name, value in known.items())
    return 0


def _model_and_rows(
    args: argparse.Namespace, *, labelled: bool | None
) -> tuple[ClickModel, ClickData]:
    """Load the model and encode the rows; warn of unseen ids."""
    need_polars()
    from mascot_jax.clicks.read import encode_like

    model = ClickModel.load(args.model)
    encoder = model.encoder
    changes = {} if args.separator is None else {"separator": args.separator}
    data = encode_like(encoder, args.rows, labelled=labelled, changes=changes)
    _warn_of_unseen(encoder, data)
    return model, data


def _warn_of_unseen(encoder: Encoder, data: ClickData) -> None:
    """Name the fields with most ids that had no row of their own in training."""
    shared = {field: n for field, n in encoder.shared(data).items() if n}
    if not shared:
        return
    most = sorted(shared, key=lambda field: -shared[field])
    shown = ", ".join(f"{field} {shared[field]}" for field in most[:_SHOWN_FIELDS])
    more = f" and {len(most) - _SHOWN_FIELDS} more fields" if len(most) > _SHOWN_FIELDS else ""
    warn(
        f"of {len(data)} rows, so many have an id that was unseen or rare in training, and share "
        f"a row of the table: {shown}{more}"
    )


def _inspect(args: argparse.Namespace) -> int:
    """Print the contents of the model file."""
    facts = _facts(args.model, ClickModel.load(args.model))
    if args.json:
        print_json(facts)
        return 0
    fields, settings = facts.pop("fields"), facts.pop("settings")
    print_table((name.replace("_", " "), _shown(value)) for name, value in facts.items())
    print("\nfields")
    header = ("field", "rows", "frequent rows")
    print_table([tuple(field.values()) for field in fields], header)
    print("\nsettings")
    print_table((name, _shown(value)) for name, value in settings.items())
    return 0


def _facts(path: str, model: ClickModel) -> dict[str, Any]:
    stated, network = click_model_facts(path), model.model_
    tiers = network.tiers
    about = {} if network.encoder is None else network.encoder[1]
    names = about.get("categories", [str(place) for place in range(tiers.fields)])
    return {
        "model": path,
        "file_bytes": Path(path).stat().st_size,
        "format_version": stated["format_version"],
        "library_version": stated["library_version"],
        "sha256": stated["sha256"],
        "checksum_ok": True,  # load refuses a wrong checksum
        "encoder": network.encoder is not None,
        "data_set": about.get("facts", {}).get("name"),
        "numbers": about.get("dense"),
        "storage": network.tables.narrow_storage,
        "float_storage": network.tables.wide_storage,
        "table_bytes_training": network.training_bytes,
        "table_bytes_deployed": network.deployed_bytes,
        "epochs_trained": network.epochs,
        "fields": [
            {"field": name, "rows": rows, "frequent_rows": wide}
            for name, rows, wide in zip(names, tiers.cardinalities, tiers.wide, strict=True)
        ],
        "settings": network.settings.model_dump(mode="json"),
    }


def _shown(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "null" if value is None else str(value)


_ACTIONS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = {
    "train": _train,
    "predict": _predict,
    "evaluate": _evaluate,
    "inspect": _inspect,
}
