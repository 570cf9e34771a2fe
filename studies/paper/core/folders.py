"""Where the study keeps what it makes; studies/paper/dvc.yaml has the same paths."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipeline.common.paths import DataFolder
from studies.paper.core.settings import DataSet

ROOT: Final = Path("studies/paper")


def data(profile: str, data_set: DataSet) -> DataFolder:
    """Give a data set's ratings."""
    return DataFolder(ROOT / "data" / profile / data_set.name.replace(" ", "-"))


def results(profile: str) -> Path:
    """Give the folder of what figures show, a JSON file each, and of the report."""
    return ROOT / "results" / profile


def result(profile: str, figure: str) -> Path:
    """Give what one figure shows."""
    return results(profile) / f"{figure}.json"
