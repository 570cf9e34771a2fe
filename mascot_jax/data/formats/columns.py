"""The columns that a file must have, and where they are among those that it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mascot_jax.errors import DataError, MissingColumnError
from mascot_jax.settings import Columns

RATINGS = ("user", "item", "rating")
TIMED = (*RATINGS, "time")
PAIRS = ("user", "item")

OTHER_NAMES = {
    "user": ("user", "userid"),
    "item": ("item", "itemid", "movieid"),
    "rating": ("rating",),
    "time": ("time", "timestamp"),
}
"""Names that a column left at its default may have, without regard to case and underscores."""

Wanted = Mapping[str, str]
"""Column to read, by name or position, for each column of the result."""


def wanted_columns(columns: Columns, keys: Sequence[str]) -> Wanted:
    """Return the columns to read.

    Raises
    ------
    DataError
        Two of them are the same.
    """
    wanted = {key: getattr(columns, key) for key in keys}
    if len(set(wanted.values())) < len(wanted):
        raise DataError(f"data.columns: {_words(keys)} must differ; found {list(wanted.values())}")
    return wanted


def by_position(wanted: Wanted) -> bool:
    """Return whether all columns are given by their positions, from 0."""
    return all(name.isdecimal() for name in wanted.values())


def are_defaults(wanted: Wanted) -> bool:
    """Return whether no column has been chosen."""
    return all(key == name for key, name in wanted.items())


def place_of(key: str, name: str, there: Sequence[str]) -> int | None:
    """Return the place of a column among the names that are there, None if it has none.

    A name of digits is a position. Where there is no column of a default name, one that is
    commonly used for the same is taken, such as ``userId`` for ``user``.
    """
    if name.isdecimal():
        return int(name) if int(name) < len(there) else None
    if there.count(name) == 1:
        return there.index(name)
    if name in there or name != key:
        return None
    others = [at for at, other in enumerate(there) if _plain(other) in OTHER_NAMES[key]]
    return others[0] if len(others) == 1 else None


def find_places(
    label: str, wanted: Wanted, there: Sequence[str], found: str, *, separated: bool = False
) -> dict[str, int]:
    """Return the place of each column.

    Parameters
    ----------
    label : str
        The file's name in messages.
    wanted : mapping
        Columns to find.
    there : sequence of str
        Names of the file's columns.
    found : str
        How the file was read, and what it has, for messages.
    separated : bool
        Whether another separator may find other columns.

    Raises
    ------
    DataError
        A column is not there, or is there twice; the message lists what is.
    """
    places = {}
    for key, name in wanted.items():
        place = place_of(key, name, there)
        if place is None:
            often = "twice" if there.count(name) > 1 and not name.isdecimal() else "not"
            raise MissingColumnError(
                f"{label}: column {name!r} (data.columns.{key}) is {often} there; {found}. "
                + _remedy(key, len(there), separated),
                key,
                len(there),
            )
        places[key] = place
    if len(set(places.values())) < len(places):
        raise DataError(f"{label}: {_words(tuple(wanted))} must be different columns; {found}")
    return places


def _remedy(key: str, columns: int, separated: bool) -> str:
    if separated and columns < 2:
        return "Set data.columns.separator to what stands between its columns"
    remedy = f"Set data.columns.{key} to one of these names, or to a position from 0"
    if not separated:
        return f"{remedy} to {columns - 1}"
    return (
        f"{remedy} (all columns, in a file without a header line); or data.columns.separator, if "
        "another one is right"
    )


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace(" ", "")


def _words(keys: Sequence[str]) -> str:
    return f"{', '.join(keys[:-1])} and {keys[-1]}"
