"""Log each epoch: DVCLive metrics, and rows for the plot of q-errors."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import numpy as np
from dvclive import Live
from scmrepo.exceptions import SCMError

from mascot_jax.errors import MascotError
from mascot_jax.tables.storage import Storage
from mascot_jax.training.problem import Prepared
from mascot_jax.training.records import EpochRecord, SideRecord
from pipeline.common import paths


class EpochLog:
    """Log of one fold's training; a context manager."""

    def __init__(self, fold: int, prepared: Prepared) -> None:
        self._fold = fold
        sides = {"users": prepared.users, "items": prepared.items}
        self._rows = {name: np.diff(side.starts) for name, side in sides.items()}
        self._storages = prepared.plan.storages
        self._width = prepared.plan.width
        self._q_errors: list[dict[str, Any]] = []
        self._live = _open_live(fold)

    def __enter__(self) -> EpochLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.end()
        paths.write_json(paths.q_errors(self._fold), self._q_errors)

    def add(self, record: EpochRecord) -> None:
        """Log an epoch that has just finished or that a checkpoint holds."""
        for name, score in (
            ("rmse", record.test_rmse),
            ("validation_rmse", record.validation_rmse),
            ("ndcg", record.test_ndcg),
            ("validation_ndcg", record.validation_ndcg),
            ("visited", record.visited),
        ):
            if score is not None:
                self._live.log_metric(name, score)
        self._live.log_metric("learning_rate", record.learning_rate)
        sides = {"users": record.users, "items": record.items}
        factors = self._width(record.epoch)
        for storage in self._storages:
            held = {name: side.codes == storage.code for name, side in sides.items()}
            rows = sum(int(self._rows[name][mask].sum()) for name, mask in held.items())
            self._live.log_metric(f"bytes/{storage.name}", rows * storage.row_bytes(factors))
            for name, mask in held.items():
                self._live.log_metric(f"groups/{name}/{storage.name}", int(mask.sum()))
        for name, side in sides.items():
            promoted = float(np.mean(side.codes != self._storages[0].code))
            self._live.log_metric(f"promoted/{name}", promoted)
        for name, side in sides.items():
            self._q_errors += q_error_rows(record.epoch, name, side, self._storages)
        self._live.next_step()


def q_error_rows(
    epoch: int,
    side: str,
    record: SideRecord,
    storages: tuple[Storage, ...],
) -> list[dict[str, Any]]:
    """Return one row per group that was measured in this epoch.

    Parameters
    ----------
    epoch, side
        Written to every row.
    record
        The side's record of the epoch. The growth of a group is null while it has had too few
        samples for a baseline.
    storages
        Storages that a group may have.
    """
    names = {storage.code: storage.name for storage in storages}
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.log2(record.q_error.astype(np.float64) / record.baseline)
    return [
        {
            "side": side,
            "epoch": epoch,
            "group": int(group),
            "q_error": float(record.q_error[group]),
            # Rounded: the last bits of NumPy's logarithm differ between CPUs.
            "log2_growth": round(float(growth[group]), 6) if np.isfinite(growth[group]) else None,
            "storage": names[int(record.codes[group])],
        }
        for group in np.flatnonzero(np.isfinite(record.q_error))
    ]


def _open_live(fold: int) -> Live:
    try:
        # dvc.yaml defines the stage: DVCLive must neither write a dvc.yaml nor save experiments.
        return Live(
            str(paths.epochs(fold)),
            save_dvc_exp=False,
            dvcyaml=None,
            report=None,
            monitor_system=False,
        )
    except SCMError as error:  # DVCLive asks Git for the current commit, whatever its settings
        raise MascotError(
            f"DVCLive needs a Git repository with a commit ({error}): run `git commit`"
        ) from error
