"""Convert ids from the command line and from files to the kind of a model's ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from mascot_jax.command.output import warn
from mascot_jax.errors import DataError
from mascot_jax.ids.kinds import BOOL, BYTES, DATETIME, FLOAT, INTEGER, STRING, UUIDS
from mascot_jax.ids.table import IdTable

SHOWN: Final = 5
"""Number of unknown ids that a warning lists."""
_BOOLEANS: Final = {"true": True, "false": False}


def _integer(text: str) -> int:
    """Return an integer in canonical form; raise ValueError for "007", which is another id."""
    number = int(text)
    if str(number) != text:
        raise ValueError(text)
    return number


_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    INTEGER: _integer,
    STRING: str,
    FLOAT: float,
    BOOL: lambda text: _BOOLEANS[text.lower()],
    BYTES: str.encode,
    UUIDS: UUID,
    DATETIME: np.datetime64,
}


def parse_ids(values: Sequence[str] | NDArray[Any], table: IdTable, name: str) -> NDArray[Any]:
    """Convert ids to the kind of the table's ids.

    Parameters
    ----------
    values
        Ids ``(n,)`` as text, or as integers read from a file.
    table
        The model's ids.
    name
        Name of the ids in messages: ``user`` or ``item``.

    Raises
    ------
    DataError
        An id cannot be of this kind, or the kind cannot be written as text.
    """
    found = np.asarray(values)
    if table.kind == INTEGER and found.dtype.kind in "iu":
        return found
    parse = _PARSERS.get(table.kind)
    if parse is None:
        raise DataError(
            f"the model's {name} ids are of kind {table.kind}, which has no text: use the library"
        )
    ids = np.empty(len(values), dtype=object)
    for at, value in enumerate(values):
        try:
            ids[at] = parse(str(value))
        except (ValueError, KeyError):
            raise DataError(
                f"{name}: {str(value)!r} cannot be an id: the model's are of kind {table.kind}, "
                f"such as {table.values[:1].tolist()[0]!r}"
            ) from None
    # One array gives all dates the finest of their units.
    return np.array(list(ids)) if table.kind == DATETIME else ids


def warn_of_unknown(ids: NDArray[Any], table: IdTable, name: str, consequence: str) -> None:
    """Warn on stderr of ids that the model does not know, with the consequence."""
    unknown = list(dict.fromkeys(ids[table.encode(ids, name) < 0].tolist()))
    if unknown:
        shown = ", ".join(map(repr, unknown[:SHOWN]))
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        warn(f"{name} not in the model: {shown}{more}: {consequence}")
