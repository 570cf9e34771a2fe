"""What is logged per epoch: DVCLive metrics, and rows for the plots that need more than one number."""

from __future__ import annotations

import math
from types import TracebackType
from typing import Any

import numpy as np
from dvclive import Live
from numpy.typing import NDArray

from mascot_jax.fit import EpochRecord, SideRecord
from mascot_jax.grouping import Grouping
from mascot_jax.settings import TrainSettings
from mascot_jax.storage import STORAGES
from pipeline import paths

ROWS_FILE = "q_error.json"
"""In a fold's DVCLive folder: one row per measured group and epoch."""


class EpochLog:
    """Logs one fold's training; a context manager."""

    def __init__(
        self, fold: int, users: Grouping, items: Grouping, settings: TrainSettings
    ) -> None:
        self._folder = paths.epochs(fold)
        self._rows = {"users": np.diff(users.starts), "items": np.diff(items.starts)}
        self._settings = settings
        self._q_errors: list[dict[str, Any]] = []
        self._baseline: dict[tuple[str, int], float] = {}
        # The stage belongs to dvc.yaml: DVCLive must neither write one nor save experiments of its own.
        self._live = Live(
            str(self._folder), save_dvc_exp=False, dvcyaml=None, report=None, monitor_system=False
        )

    def __enter__(self) -> EpochLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.end()
        paths.write_json(self._folder / ROWS_FILE, self._q_errors)

    def add(self, record: EpochRecord, rmse: float) -> None:
        """Log an epoch and the test RMSE after it."""
        self._live.log_metric("rmse", rmse)
        self._live.log_metric("learning_rate", record.learning_rate)
        sides = {"users": record.users, "items": record.items}
        for storage in STORAGES.values():
            held = {name: side.codes == storage.code for name, side in sides.items()}
            rows = sum(int(self._rows[name][mask].sum()) for name, mask in held.items())
            bytes_per_row = self._settings.factors * storage.dtype.itemsize
            self._live.log_metric(f"bytes/{storage.name}", rows * bytes_per_row)
            for name, mask in held.items():
                self._live.log_metric(f"groups/{name}/{storage.name}", int(mask.sum()))
        for name, side in sides.items():
            self._add_q_errors(record.epoch, name, side)
        self._live.next_step()

    def _add_q_errors(self, epoch: int, name: str, side: SideRecord) -> None:
        for group in np.flatnonzero(np.isfinite(side.q_error)):
            value = float(side.q_error[group])
            first = self._baseline.setdefault((name, int(group)), value)
            growth = math.log2(value / first) if value > 0 and first > 0 else 0.0
            self._q_errors.append(
                {
                    "side": name,
                    "epoch": epoch,
                    "group": int(group),
                    "q_error": value,
                    "log2_growth": growth,
                    "storage": _storage_name(side.codes, int(group)),
                }
            )


def _storage_name(codes: NDArray[np.uint8], group: int) -> str:
    return next(s.name for s in STORAGES.values() if s.code == codes[group])
