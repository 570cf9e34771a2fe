"""What ``mascot inspect`` shows of a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mascot_jax.base.tensor_file import stated_facts
from mascot_jax.engine.tables import to_host
from mascot_jax.tables.rows import Rows
from mascot_jax.tables.storage import STORAGES
from mascot_jax.training.checkpoint import FORMAT, load_checkpoint
from mascot_jax.training.checkpoint_parts import folder_of


def checkpoint_facts(path: str) -> dict[str, Any]:
    """Return what is in a checkpoint.

    Raises
    ------
    CheckpointError
        If it cannot be resumed from: all of it is read, parts included.
    """
    progress, fingerprint = load_checkpoint(path)
    stated, settings = stated_facts(path, FORMAT), fingerprint["settings"]
    places = [folder_of(Path(path)) / name for name, _ in stated.get("parts", ())]
    last = progress.records[-1] if progress.records else None
    return {
        "checkpoint": path,
        "file_bytes": Path(path).stat().st_size,
        "format_version": stated["format_version"],
        "library_version": stated["library_version"],
        "sha256": stated["sha256"],
        "checksum_ok": True,  # load_checkpoint refuses a wrong checksum
        "epochs_done": int(progress.state.epoch),
        "epochs": settings["epochs"],
        "best_epoch": None if progress.best is None else int(progress.best.epoch) - 1,
        "validation_rmse": None if last is None else last.validation_rmse,
        "validation_ndcg": None if last is None else last.validation_ndcg,
        "test_rmse": None if last is None else last.test_rmse,
        "users": _side(to_host(progress.state.users)),
        "items": _side(to_host(progress.state.items)),
        "parts": [{"file": str(place), "bytes": place.stat().st_size} for place in places],
        "settings": settings,
    }


def storages_of(rows: Rows) -> list[dict[str, Any]]:
    """Return name, rows, bytes and groups of each storage of a table."""
    return [
        {
            "storage": name,
            "rows": len(stored),
            "bytes": stored.nbytes,
            "groups": int((rows.codes == STORAGES[name].code).sum()),
        }
        for name, stored in rows.stored.items()
    ]


def _side(rows: Rows) -> dict[str, Any]:
    return {"count": len(rows), "storages": storages_of(rows)}
