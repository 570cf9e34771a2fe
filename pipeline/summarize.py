"""Stage ``summarize``: write mean errors to metrics.json, times to timings.json, and plot data.

Only the folds named in params.yaml are read: an earlier run may have left files of other folds.
"""

from __future__ import annotations

import csv
import statistics
from typing import Any

from mascot_jax.base.metrics import OF_POPULARITY, Baselines
from mascot_jax.settings import Params
from mascot_jax.settings.interactions import INTERACTION_DEFAULTS
from mascot_jax.settings.methods import Recipe
from mascot_jax.tables.storage import STORAGES
from mascot_jax.tables.traffic import by_storage, relative_bytes
from pipeline.common import paths
from pipeline.common.stage import run_stage


def summarize(params: Params) -> None:
    """Combine the results of the folds."""
    scores = {fold: paths.read_json(paths.scores(fold)) for fold in params.folds}
    paths.write_json(paths.METRICS, metrics(scores))
    paths.write_json(paths.TIMINGS, timings(scores))
    main = "ndcg" if params.train.of_interactions else "rmse"
    for name, rows in _plots(params.folds, main).items():
        paths.write_json(paths.PLOTS / f"{name}.json", rows)


FROM_METHOD = ("storage", "rounding", "criterion", "threshold", "period", "sample_ratio", "warmup")
RESOLVED = (*FROM_METHOD, "recipe", *Recipe._fields)
"""Settings that params.yaml may leave to the method or to the recipe."""


def metrics(scores: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Return flat, reproducible values for ``dvc metrics diff`` and ``dvc exp show``."""
    folds = list(scores.values())
    facts = paths.read_json(paths.RAW_FACTS)
    settings = folds[0]["settings"]
    main = "ndcg" if "ndcg" in folds[0] else "rmse"  # of interactions, or of ratings
    each = [fold[main] for fold in folds]
    values = {
        "method": settings["method"],
        f"{main}_mean": statistics.fmean(each),
        f"{main}_std": statistics.stdev(each) if len(each) > 1 else 0.0,
        **_means_of(folds, main),
        # Epochs of the saved models; after early stopping, more epochs ran.
        "epochs_trained": statistics.mean(fold["epochs_trained"] for fold in folds),
        "factor_bytes": round(statistics.fmean(fold["factor_bytes"] for fold in folds)),
    }
    for name in folds[0].get("lists", ()):
        key = name if name.endswith(OF_POPULARITY) else f"{name}_mean"
        values[key] = statistics.fmean(fold["lists"][name] for fold in folds)
    values |= {f"{main}_fold{number}": fold[main] for number, fold in scores.items()}
    values |= {name: settings[name] for name in RESOLVED}
    if main == "ndcg":
        values |= {name: settings[name] for name in ("objective", *INTERACTION_DEFAULTS)}
    if settings["validation"]:
        values[f"validation_{main}_mean"] = statistics.fmean(
            _logged(number, f"validation_{main}")[fold["epochs_trained"] - 1]
            for number, fold in scores.items()
        )
    values |= {name: facts[name] for name in ("rmse_floor", "rmse_bias_only") if name in facts}
    for storage in STORAGES:
        shares = [by_storage(fold["traffic"]).get(storage, 0.0) for fold in folds]
        if any(shares):
            values[f"traffic_{storage}"] = statistics.fmean(shares)
    values["relative_bytes"] = statistics.fmean(
        relative_bytes(fold["traffic"], settings["factors"]) for fold in folds
    )
    return values


def _means_of(folds: list[dict[str, Any]], main: str) -> dict[str, float]:
    """Return what stands beside the main figure."""
    if main == "ndcg":
        return {}
    return {
        "mae_mean": statistics.fmean(fold["mae"] for fold in folds),
        "cold_ratings": sum(fold["cold_ratings"] for fold in folds),
        **{name: statistics.fmean(fold[name] for fold in folds) for name in Baselines._fields},
    }


def timings(scores: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Average the times of the trainings that made these models.

    A model from DVC's cache was not trained here, so it has no time.
    """
    models = {fold["model"] for fold in scores.values()}
    files = [path for path in map(paths.timing, scores) if path.is_file()]
    timed = [timing for timing in map(paths.read_json, files) if timing["model"] in models]
    if not timed:
        return {"train_seconds": None, "folds_timed": 0}
    seconds = sum(timing["train_seconds"] for timing in timed)
    hardware = ("backend", "device", "processor", "cores", "instruction_set")
    return {
        "train_seconds": seconds / len(timed),
        "updates_per_s": sum(timing["updates"] for timing in timed) / seconds,
        "peak_memory_bytes": max(timing["peak_memory_bytes"] for timing in timed),
        "threads": timed[0]["threads"],
        "folds_timed": len(timed),
        **{name: timed[0][name] for name in hardware if name in timed[0]},
    }


def _plots(folds: list[int], main: str) -> dict[str, list[dict[str, Any]]]:
    convergence, switched = [], []
    for fold in folds:
        convergence += [
            {"fold": fold, "epoch": epoch, main: value}
            for epoch, value in enumerate(_logged(fold, main))
        ]
        for side in ("users", "items"):
            switched += [
                {"fold": fold, "epoch": epoch, "side": side, "switched": share}
                for epoch, share in enumerate(_logged(fold, f"promoted/{side}"))
            ]
    return {
        "convergence": convergence,
        "switched": switched,
        # Only of one fold: in another, a group holds other rows.
        "q_error": paths.read_json(paths.q_errors(folds[0])),
    }


def _logged(fold: int, metric: str) -> list[float]:
    """Return a metric's value per epoch, as DVCLive wrote it."""
    path = paths.epochs(fold) / "plots" / "metrics" / f"{metric}.tsv"
    name = metric.rsplit("/", 1)[-1]
    with path.open(encoding="utf-8", newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file, delimiter="\t")]


if __name__ == "__main__":
    run_stage(summarize)
