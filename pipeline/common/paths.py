"""Paths of the stages' files, relative to the repository's root; dvc.yaml has the same paths."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from mascot_jax.base.files import atomic_write


class DataFolder(NamedTuple):
    """Folder of one data set, written by ``download`` and ``split``; studies have several."""

    root: Path

    @property
    def raw(self) -> Path:
        """Ratings with their original ids."""
        return self.root / "raw/ratings.parquet"

    @property
    def facts(self) -> Path:
        """Facts about the ratings, such as their range."""
        return self.root / "raw/facts.json"

    @property
    def split(self) -> Path:
        """Ratings with indices and folds."""
        return self.root / "split/ratings.safetensors"

    @property
    def user_ids(self) -> Path:
        """Id of each user index."""
        return self.root / "split/users.parquet"

    @property
    def item_ids(self) -> Path:
        """Id of each item index."""
        return self.root / "split/items.parquet"

    @property
    def report(self) -> Path:
        """Report of the split: sizes, folds, cold users and items, duplicates."""
        return self.root / "split/report.json"


DATA = DataFolder(Path("data"))
RAW_FACTS = DATA.facts
SPLIT = DATA.split
USER_IDS = DATA.user_ids
ITEM_IDS = DATA.item_ids
PLOTS = Path("results/plots")
METRICS = Path("metrics.json")
TIMINGS = Path("timings.json")


def groups(fold: int) -> Path:
    """Return the path of the group tables and row orders."""
    return Path(f"data/groups/{fold}.safetensors")


def model(fold: int) -> Path:
    """Return the path of the trained model."""
    return Path(f"models/{fold}.safetensors")


def epochs(fold: int) -> Path:
    """Return the folder that DVCLive logs epochs to."""
    return Path(f"dvclive/{fold}")


def q_errors(fold: int) -> Path:
    """Return the path of the q-error log, in that folder: one row per measured group and epoch."""
    return epochs(fold) / "q_error.json"


def timing(fold: int) -> Path:
    """Return the path of the training's seconds and bytes; no stage output, as these vary."""
    return Path(f"timings/{fold}.json")


def checkpoint(fold: int) -> Path:
    """Return the path of the checkpoint: no stage output, and deleted when training ends."""
    return Path(f"checkpoints/{fold}.safetensors")


def scores(fold: int) -> Path:
    """Return the path of the evaluation's errors."""
    return Path(f"results/scores/{fold}.json")


def write_json(path: Path, values: Any) -> None:
    """Write sorted JSON atomically; create the folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(values, indent=2, sort_keys=True) + "\n"
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))
