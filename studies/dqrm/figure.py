"""A figure's stage: train every variant of it with every seed.

``python -m studies.dqrm.figure NAME``. All variants of a seed are trained one after the other, on
the same rows in the same order.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from mascot_jax.base.click_metrics import best_metrics, log_loss_of_mean
from mascot_jax.clicks.encoder import Parts
from mascot_jax.clicks.raw import open_raw
from mascot_jax.clicks.read import encode_raw
from mascot_jax.dlrm.estimator import ClickModel
from mascot_jax.dlrm.fit import TIMES
from mascot_jax.dlrm.workers import offer_devices
from mascot_jax.settings import EncodeSettings
from mascot_jax.settings.clicks import ClickSettings
from pipeline.common.hardware import describe_hardware
from pipeline.common.paths import write_json
from pipeline.common.stage import check_native
from studies.dqrm.settings import Study, figure_path, raw_path, read_study

Row = dict[str, Any]


def main() -> None:
    """Run the stage."""
    study = read_study()
    parser = argparse.ArgumentParser(prog="python -m studies.dqrm.figure", description=__doc__)
    parser.add_argument("figure", choices=study.figures)
    figure = parser.parse_args().figure
    check_native()
    variants = study.figures[figure].values()
    offer_devices(max(study.train(variant, 0).workers for variant in variants))
    rows = list(trainings(study, figure))
    write_json(
        figure_path(study.profile, figure),
        {
            "rows": rows,
            "data": open_raw(raw_path(study.profile)).facts["source"],
            "hardware": describe_hardware(),
        },
    )


def trainings(study: Study, figure: str) -> list[Row]:
    """Train each variant with each seed; return a row for each."""
    raw = open_raw(raw_path(study.profile))
    rows = []
    for seed in study.chosen.seeds:
        encoded: tuple[EncodeSettings, Parts] | None = None
        for name, variant in study.figures[figure].items():
            how = study.encode(variant)
            if encoded is None or encoded[0] != how:
                encoded = how, encode_raw(raw, how)
            row = {"variant": name, "seed": seed} | train(encoded[1], study.train(variant, seed))
            sys.stderr.write(f"{figure}, {name}, seed {seed}: AUC {row['auc']:.4f}\n")
            rows.append(row)
    return rows


def train(parts: Parts, settings: ClickSettings) -> Row:
    """Return a training's metrics on the test rows, its tables' bytes, and its epochs.

    Each epoch is scored on the validation rows, which decide nothing here.
    """
    model = ClickModel(**settings.model_dump())
    model.fit(parts.data["train"], parts.data["validation"])
    metrics = model.evaluate(parts.data["test"])
    epochs = [
        {name: value for name, value in record.items() if name not in TIMES}
        for record in model.history_
    ]
    return {**metrics, **best(parts), "epochs": epochs, "rows": len(parts.data["train"])}


def best(parts: Parts) -> Row:
    """Return the metrics that no model of the test rows can beat, if they were planted."""
    labels = parts.data["test"].labels
    found = {"log_loss_of_mean": log_loss_of_mean(labels)}
    if not parts.probabilities:
        return found
    return found | best_metrics(labels, parts.probabilities["test"])


if __name__ == "__main__":
    main()
