"""Where stages keep what they hand on, from the repository's root; dvc.yaml has the same paths."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mascot_jax.files import atomic_write

RAW = Path("data/raw/ratings.parquet")
RAW_FACTS = Path("data/raw/facts.json")
SPLIT = Path("data/split/ratings.safetensors")
USER_IDS = Path("data/split/users.parquet")
ITEM_IDS = Path("data/split/items.parquet")
SPLIT_REPORT = Path("data/split/report.json")
PLOTS = Path("results/plots")
METRICS = Path("metrics.json")
TIMINGS = Path("timings.json")


def groups(fold: int) -> Path:
    """Give the group tables and row orders."""
    return Path(f"data/groups/{fold}.safetensors")


def model(fold: int) -> Path:
    """Give the trained model's path."""
    return Path(f"models/{fold}.safetensors")


def epochs(fold: int) -> Path:
    """Give the folder that DVCLive logs epochs to."""
    return Path(f"dvclive/{fold}")


def q_errors(fold: int) -> Path:
    """Give the log of q-errors, in the same folder: a row per measured group and epoch."""
    return epochs(fold) / "q_error.json"


def timing(fold: int) -> Path:
    """Give the training's seconds and bytes: no stage's output, as they differ on every run."""
    return Path(f"timings/{fold}.json")


def checkpoint(fold: int) -> Path:
    """Give what an unfinished training goes on from: no stage's output, and gone at its end."""
    return Path(f"checkpoints/{fold}.safetensors")


def scores(fold: int) -> Path:
    """Give the evaluation's errors."""
    return Path(f"results/scores/{fold}.json")


def write_json(path: Path, values: Any) -> None:
    """Write sorted JSON, making the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(values, indent=2, sort_keys=True) + "\n"
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read JSON."""
    return json.loads(path.read_text(encoding="utf-8"))
