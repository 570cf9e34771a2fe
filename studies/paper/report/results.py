"""Read the files that the study's stages have written.

Every measured quantity knows where it stands (``fig7.json#/rows/3/seconds``), so that a number in
the report can be held against it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from mascot_jax.base.json_text import parse_json
from mascot_jax.errors import DataError
from studies.paper.core.quantities import difference

NAMES: Final = (
    "table1", "fig7", "fig4", "fig5", "fig8", "fig9", "fig10", "fig11", "table2", "beyond",
)  # fmt: skip


class Quantity(NamedTuple):
    """A measured quantity: mean, and 95 % interval over the repetitions."""

    mean: float
    """NaN where nothing could be measured."""
    low: float | None
    high: float | None
    """None of a single repetition."""
    values: tuple[float, ...]
    """One a repetition."""
    source: str = ""
    """Where it stands; empty if it was worked out from others."""

    @property
    def interval(self) -> tuple[float, float]:
        """Return its ends; without an interval, it may be anything."""
        if self.low is None or self.high is None or not math.isfinite(self.high - self.low):
            return (-math.inf, math.inf)
        return (self.low, self.high)

    def below(self, other: Quantity | float) -> bool:
        """Tell whether it lies below, its interval and the other's not touching."""
        least = other.interval[0] if isinstance(other, Quantity) else other
        return self.interval[1] < least

    def above(self, other: Quantity | float) -> bool:
        """Tell whether it lies above, its interval and the other's not touching."""
        most = other.interval[1] if isinstance(other, Quantity) else other
        return self.interval[0] > most


def _quantity(value: Mapping[str, Any], source: str = "") -> Quantity:
    mean = math.nan if value["mean"] is None else value["mean"]
    return Quantity(mean, value["low"], value["high"], tuple(value["values"]), source)


def paired(one: Quantity, other: Quantity) -> Quantity:
    """Return by how much one lies above another in the same repetitions."""
    return _quantity(difference(one.values, other.values))


class Row:
    """One row of a result file."""

    def __init__(self, values: Mapping[str, Any], source: str) -> None:
        self._values = values
        self._source = source

    def __getitem__(self, name: str) -> Any:
        """Return what identifies the row: a name or a setting."""
        try:
            return self._values[name]
        except KeyError:
            raise DataError(f"{self._source}: has no {name!r}; repeat the stage") from None

    def get(self, name: str, otherwise: Any = None) -> Any:
        """Return what may be missing."""
        return self._values.get(name, otherwise)

    def source(self, name: str) -> str:
        """Return where a value stands."""
        return f"{self._source}/{name}"

    def quantity(self, name: str) -> Quantity:
        """Return a measured quantity."""
        value = self[name]
        try:
            return _quantity(value, self.source(name))
        except (KeyError, TypeError):
            raise DataError(
                f"{self.source(name)}: is no measured quantity: {value!r:.60}"
            ) from None


class Result(NamedTuple):
    """One result file."""

    hardware: Mapping[str, Any]
    settings: Mapping[str, Any]
    lists: Mapping[str, tuple[Row, ...]]
    """``rows``, and what else there is."""

    @property
    def rows(self) -> tuple[Row, ...]:
        """Return the rows that every file has."""
        return self.lists["rows"]


class Results(NamedTuple):
    """What has been measured of a profile."""

    profile: str
    files: Mapping[str, Result]
    """By name, ``fig7`` say; those missing have not been run."""

    @property
    def factors(self) -> int:
        """Return k of all that does not say otherwise."""
        found = (file.settings.get("train", {}).get("factors") for file in self.files.values())
        return next(filter(None, found), 128)

    def rows(self, name: str, part: str = "rows") -> tuple[Row, ...]:
        """Return a file's rows, none where it has not been run."""
        return self.files[name].lists.get(part, ()) if name in self.files else ()


def load(folder: Path, profile: str) -> Results:
    """Read what is there of a profile's results.

    Parameters
    ----------
    folder
        Holds ``fig7.json`` and the others.
    profile
        Its name, which every file must have.

    Raises
    ------
    DataError
        A file is no result of this profile.
    """
    found = (name for name in NAMES if (folder / f"{name}.json").is_file())
    return Results(profile, {name: _read(folder / f"{name}.json", profile) for name in found})


def _read(path: Path, profile: str) -> Result:
    try:
        content = parse_json(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path}: is no JSON ({error}); repeat the stage") from None
    if not isinstance(content, dict) or not isinstance(content.get("rows"), list):
        raise DataError(f"{path}: has no rows; repeat the stage")
    if content.get("profile") != profile:
        raise DataError(
            f"{path}: is of profile {content.get('profile')!r}, not {profile!r}; repeat the stage"
        )
    lists = {
        name: tuple(
            Row(row, f"{path.name}#/{name}/{place}")
            for place, row in enumerate(rows)
            if isinstance(row, dict)
        )
        for name, rows in content.items()
        if isinstance(rows, list)
    }
    return Result(content.get("hardware", {}), content.get("settings", {}), lists)


def names(rows: Sequence[Row], field: str) -> list[Any]:
    """Return a field's values, each once, in the order of the rows."""
    return list(dict.fromkeys(row[field] for row in rows))


def by_data(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of each data set, in their order."""
    return {data: [row for row in rows if row["data"] == data] for data in names(rows, "data")}


def pick(rows: Sequence[Row], **fields: Any) -> Row | None:
    """Return the first row with these values, or None."""
    return next(
        (row for row in rows if all(row.get(name) == value for name, value in fields.items())), None
    )
