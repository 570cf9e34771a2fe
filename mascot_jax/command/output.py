"""Print tables for people, JSON for machines, and messages on stderr."""

from __future__ import annotations

import json
import math
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


def warn(message: str) -> None:
    """Print a message on stderr, in the format of errors."""
    print(f"mascot: {message}", file=sys.stderr)


@contextmanager
def warnings_as_messages(*categories: type[Warning], once: bool = False) -> Iterator[None]:
    """Show warnings of these categories as ``warn`` does: every time, or the first of each."""
    shown: set[type[Warning]] = set()
    with warnings.catch_warnings():
        for category in categories:
            warnings.simplefilter("always", category)
        show = warnings.showwarning

        def show_ours(message: Warning | str, category: type[Warning], *rest: Any) -> None:
            if not issubclass(category, categories):
                show(message, category, *rest)
            elif not once or category not in shown:
                shown.add(category)
                warn(str(message))

        warnings.showwarning = show_ours  # type: ignore[assignment]
        yield


def discard_output() -> None:
    """Discard all further output, and output that is not flushed yet."""
    with suppress(OSError, ValueError):  # stdout may not be a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(value: Mapping[str, Any]) -> None:
    """Print an object on one line and flush.

    NaN and infinities become null; ids without a JSON type (dates, bytes) become text.
    """
    print(_json(value), flush=True)


def print_table(rows: Iterable[Sequence[object]], header: Sequence[str] = ()) -> None:
    """Print rows in aligned columns; numbers are right-aligned, floats have 4 decimals.

    None is a number that is not there.
    """
    rows = [list(row) for row in rows]
    cells = [[_cell(value) for value in row] for row in rows]
    lines = [list(header), *cells] if header else cells
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = [all(_is_number(value) for value in column) for column in zip(*rows, strict=True)]
    right = right or [False] * len(widths)
    for line in lines:
        padded = (
            cell.rjust(width) if flush else cell.ljust(width)
            for cell, width, flush in zip(line, widths, right, strict=True)
        )
        print("  ".join(padded).rstrip())


def print_columns(columns: Mapping[str, NDArray[Any]], *, as_json: bool) -> None:
    """Print arrays ``(n,)`` as a table, or as one JSON object per row."""
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    if as_json:
        for row in rows:
            print(_json(dict(zip(columns, row, strict=True))))
    else:
        print_table(rows, list(columns))


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(_plain(value), allow_nan=False, default=_text)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}"
    text = _text(value)
    # An id may hold any text; a line end in it would break the table.
    return text if text.isprintable() else repr(text)


def _text(value: object) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)


def _is_number(value: object) -> bool:
    return value is None or isinstance(value, int | float)


def _plain(value: Any) -> Any:
    """Convert a value, with nested lists and dictionaries, to types that JSON has."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
