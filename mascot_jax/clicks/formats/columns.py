"""Find the columns of a table of clicks among those that it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mascot_jax.clicks.raw import Schema
from mascot_jax.errors import DataError
from mascot_jax.settings import ClickColumns

_RANGE = ".."


@dataclass(frozen=True)
class Places:
    """Places of the wanted columns in a table.

    Attributes
    ----------
    label : int or None
        None in data to predict.
    dense, categories : dict of str to int
        Place of each column by its name; positions are their own names.
    """

    label: int | None
    dense: dict[str, int]
    categories: dict[str, int]

    @property
    def schema(self) -> Schema:
        """Names of the columns."""
        return Schema(tuple(self.dense), tuple(self.categories))


def by_position(columns: ClickColumns) -> bool:
    """Return whether every column is given by its position."""
    names = [columns.label, *columns.dense, *(columns.categories or ["no position"])]
    return all(part.isdecimal() for name in names for part in name.split(_RANGE))


def find_places(
    label: str, columns: ClickColumns, there: Sequence[str], *, labelled: bool | None
) -> Places:
    """Return where the columns are.

    Parameters
    ----------
    label : str
        The file's name in messages.
    columns : ClickColumns
        The columns wanted.
    there : sequence of str
        Names of the file's columns.
    labelled : bool or None
        Whether the label must be there; None takes it where it is, by its name.

    Raises
    ------
    DataError
        A column is not there, is there twice, or is wanted twice; the message lists what is.
    """
    found = f"the file has {list(there)[:60]}"
    label_place = None
    if labelled or (labelled is None and columns.label in there):
        label_place = _place(label, "label", columns.label, there, found)
    dense = _group(label, "dense", columns.dense, there, found)
    if columns.categories is None:
        taken = {label_place, *dense.values()}
        if columns.label in there:
            taken.add(there.index(columns.label))
        rest = [at for at in range(len(there)) if at not in taken]
        categories = {_name(at, columns, there): at for at in rest}
        if len(categories) < len(rest):
            names = [_name(at, columns, there) for at in rest]
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(f"{label}: {twice!r} is there twice: rename one; {found}")
    else:
        categories = _group(label, "categories", columns.categories, there, found)
    places = [*dense.values(), *categories.values()]
    if len(set(places)) < len(places) or label_place in places:
        raise DataError(
            f"{label}: a column is wanted twice: data.columns.label, dense and categories must "
            f"differ; {found}"
        )
    if not places:
        raise DataError(
            f"{label}: there is nothing to predict a click from: name columns in "
            f"data.columns.dense or categories; {found}"
        )
    return Places(label_place, dense, categories)


def _name(at: int, columns: ClickColumns, there: Sequence[str]) -> str:
    return str(at) if columns.label.isdecimal() else there[at]


def _group(
    label: str, key: str, names: Sequence[str], there: Sequence[str], found: str
) -> dict[str, int]:
    """Return the place of each column, with those of ranges."""
    places: dict[str, int] = {}
    for name in names:
        ends = name.split(_RANGE) if name not in there else [name]
        first, last = (_place(label, key, end, there, found) for end in (ends[0], ends[-1]))
        if first > last or len(ends) > 2:
            raise DataError(
                f"{label}: data.columns.{key}: {name!r} is no range from a column to a later one; "
                f"{found}"
            )
        positions = ends[0].isdecimal() and ends[0] not in there
        for at in range(first, last + 1):
            column = str(at) if positions else there[at]
            if column in places:
                raise DataError(f"{label}: data.columns.{key}: {column!r} is wanted twice; {found}")
            places[column] = at
    return places


def _place(label: str, key: str, name: str, there: Sequence[str], found: str) -> int:
    if there.count(name) == 1:
        return there.index(name)
    if name.isdecimal() and int(name) < len(there) and name not in there:
        return int(name)
    often = "twice" if name in there else "not"
    raise DataError(
        f"{label}: column {name!r} (data.columns.{key}) is {often} there; {found}. Set "
        f"data.columns.{key} to names of the header line, to positions from 0, or to ranges such "
        "as 1..13; or data.columns.separator to what stands between columns"
    )
