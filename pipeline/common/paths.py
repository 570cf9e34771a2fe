"""Where stages keep what they hand on, from the repository's root; dvc.yaml has the same paths."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from mascot_jax.base.files import atomic_write


class DataFolder(NamedTuple):
    """Where ``download`` and ``split`` keep one data set; studies have several of these."""

    root: Path

    @property
    def raw(self) -> Path:
        """Ratings with their original ids."""
        return self.root / "raw/ratings.parquet"

    @property
    def facts(self) -> Path:
        """What is known of them, their range for one."""
        return self.root / "raw/facts.json"

    @property
    def split(self) -> Path:
        """Ratings with indices, and the fold of each."""
        return self.root / "split/ratings.safetensors"

    @property
    def user_ids(self) -> Path:
        """The id of each user's index."""
        return self.root / "split/users.parquet"

    @property
    def item_ids(self) -> Path:
        """The id of each item's index."""
        return self.root / "split/items.parquet"

    @property
    def report(self) -> Path:
        """Numbers of users, items and ratings, and what is odd about them."""
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
