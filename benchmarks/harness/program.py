"""What every program does: know ``--json``, and write its result there."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser that knows ``--json FILE``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser


def write_result(path: Path | None, result: Mapping[str, Any]) -> None:
    """Write a result as JSON, one line a record; without a path, do nothing.

    Records are the objects in a list, or in an object that holds nothing else. NaN and infinity,
    which JSON does not have, become null.
    """
    if path is not None:
        # Lists for tuples, strings for keys.
        plain = json.loads(json.dumps(result), parse_constant=lambda _: None)
        lines = (f"{json.dumps(name)}: {_text(value, ' ')}" for name, value in plain.items())
        path.write_text("{\n " + ",\n ".join(lines) + "\n}\n", encoding="utf-8")


def _text(value: Any, indent: str) -> str:
    if not _holds_records(value):
        return json.dumps(value)
    deeper = indent + " "
    if isinstance(value, dict):
        parts = [f"{json.dumps(name)}: {_text(part, deeper)}" for name, part in value.items()]
    else:
        parts = [_text(part, deeper) for part in value]
    begin, end = "{}" if isinstance(value, dict) else "[]"
    return f"{begin}\n{deeper}" + f",\n{deeper}".join(parts) + f"\n{indent}{end}"


def _holds_records(value: Any) -> bool:
    """Return whether there are records in a value, or in a list further down."""
    if isinstance(value, list):
        return any(isinstance(part, dict) for part in value)
    if not isinstance(value, dict) or not value:
        return False
    lists = [part for part in value.values() if isinstance(part, list)]
    return any(map(_holds_records, lists)) or all(isinstance(v, dict) for v in value.values())
