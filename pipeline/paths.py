"""Where stages keep what they hand on, relative to the repository's root; dvc.yaml names the same paths."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
    """Group tables and row orders."""
    return Path(f"data/groups/{fold}.safetensors")


def model(fold: int) -> Path:
    """The trained model."""
    return Path(f"models/{fold}.safetensors")


def epochs(fold: int) -> Path:
    """What was logged per epoch, by DVCLive."""
    return Path(f"dvclive/{fold}")


def timing(fold: int) -> Path:
    """Seconds and bytes of the training: no stage's output, as it differs on every run."""
    return Path(f"timings/{fold}.json")


def scores(fold: int) -> Path:
    """The evaluation's errors."""
    return Path(f"results/scores/{fold}.json")


def write_json(path: Path, values: Any) -> None:
    """Write sorted JSON, making the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read JSON."""
    return json.loads(path.read_text(encoding="utf-8"))
