"""Result files: JSON with one line a record, so that they are short and can be compared by line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mascot_jax.base.files import atomic_write


def write_records(path: Path, content: Mapping[str, Any]) -> None:
    """Write sorted JSON, making the folder: each record of a list, and any other value, on a line.

    Raises
    ------
    SaveError
        The file cannot be written.
    """
    entries = (f"{json.dumps(name)}: {_lines(content[name])}" for name in sorted(content))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        temporary.write_text("{\n" + ",\n".join(entries) + "\n}\n", encoding="utf-8")


def _lines(value: object) -> str:
    if not isinstance(value, list):
        return json.dumps(value, sort_keys=True)
    records = (json.dumps(record, sort_keys=True) for record in value)
    return "[\n" + ",\n".join(records) + "\n]"
