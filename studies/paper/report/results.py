"""Read the files that the stages have written; add what follows from them, and the paper's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

from mascot_jax.base.json_text import parse_json
from mascot_jax.errors import DataError
from studies.paper.core.quantities import difference, ratio
from studies.paper.core.settings import NAIVE
from studies.paper.report import published

Rows = Sequence[dict[str, Any]]
Result = Mapping[str, Any]
"""One file: ``rows``, other lists of rows, ``hardware`` and ``settings``."""


def load(folder: Path, figures: Iterable[str]) -> dict[str, Result]:
    """Read the results of the profile that the folder is named after, by figure.

    Raises
    ------
    DataError
        A file is missing, or is no result of this profile.
    """
    return {name: _read(folder / f"{name}.json", folder.name) for name in figures}


def load_beside(folders: Sequence[Path], figures: Iterable[str]) -> dict[str, list[Result]]:
    """Read what these profiles have of the figures; not each of them has all.

    Raises
    ------
    DataError
        A file is no result of its profile, or a profile has none of the figures.
    """
    names = list(figures)
    beside: dict[str, list[Result]] = {name: [] for name in names}
    for folder in folders:
        there = [name for name in names if (folder / f"{name}.json").is_file()]
        if not there:
            raise DataError(f"{folder}: has no results; run stages of studies/paper/dvc.yaml")
        for name, result in load(folder, there).items():
            beside[name].append(result)
    return beside


def joined(result: Result, others: Sequence[Result]) -> Result:
    """Return a figure's result with the rows of others behind its own."""
    tables = {
        name: [*value, *(row for other in others for row in other[name])]
        for name, value in result.items()
        if isinstance(value, list)
    }
    return {**result, **tables}


def _read(path: Path, profile: str) -> Result:
    try:
        content = parse_json(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path}: is missing; run its stage of studies/paper/dvc.yaml") from None
    except ValueError as error:
        raise DataError(f"{path}: is no JSON ({error}); repeat the stage") from None
    if not isinstance(content, dict) or not isinstance(content.get("rows"), list):
        raise DataError(f"{path}: has no rows; repeat the stage")
    if content.get("profile") != profile:
        raise DataError(
            f"{path}: is of profile {content.get('profile')!r}, not {profile!r}; repeat the stage"
        )
    return content


def _data_sets(result: Result) -> Rows:
    """Return the rows of Table I, ours and the paper's."""
    kinds = ("users", "items", "ratings", "sparsity")
    theirs = (
        {"data": f"{name} (paper)", **dict(zip(kinds, published.TABLE1[data], strict=True))}
        for data, name in published.DATA.items()
    )
    return [*result["rows"], *theirs]


def _first_and_last(result: Result) -> Rows:
    last = max(row["epoch"] for row in result["rows"])
    return [row for row in result["rows"] if row["epoch"] in (0, last)]


def _with_losses(result: Result) -> Rows:
    """Return errors by epoch, and by how much they exceed FP32's: their ``loss``."""
    reference = {
        (row["data"], row["epoch"]): row["rmse"]["values"]
        for row in result["rows"]
        if row["method"] == "fp32"
    }
    return [
        {**row, "loss": difference(row["rmse"]["values"], reference[row["data"], row["epoch"]])}
        for row in result["rows"]
    ]


def _ends(result: Result) -> Rows:
    """Return errors after the last epoch, and in words when precision changed."""
    return [{**row, "switched": _in_words(row["events"])} for row in result["final"]]


def _in_words(events: Rows) -> str:
    if not events or "word_length" in events[0]:
        return ", ".join(
            f"{each['word_length']} bits from epoch {each['epoch']}" for each in events
        )
    last = events[-1]
    return f"{100 * last['switched']:.0f} % of row visits switched by epoch {last['epoch']}"


def _relative(result: Result, field: str, **unit: Any) -> Rows:
    """Return rows whose ``field`` is their time to that of the row with the values of ``unit``."""
    units = {row["data"]: row["seconds"] for row in result["rows"] if unit.items() <= row.items()}
    return [
        {**row, field: ratio(row["seconds"]["values"], units[row["data"]]["values"])}
        for row in result["rows"]
    ]


class Shown(NamedTuple):
    """Rows of one result file that a table or a figure shows."""

    figure: str
    names: tuple[str, ...]
    """Fields that tell the rows of a data set apart."""
    fields: tuple[str, ...]
    """What was measured."""
    rows: Callable[[Result], Rows] = itemgetter("rows")


SHOWN: Final = {
    "table1": Shown("table1", (), ("users", "items", "ratings", "sparsity"), _data_sets),
    "distribution": Shown("table1", ("side",), ("ratings",), itemgetter("distribution")),
    "fig4": Shown("fig4", ("half_share",), ("seconds", "relative_time")),
    "fig5": Shown("fig5", ("side", "quartile", "epoch"), ("gradient",), _first_and_last),
    "gradients": Shown("fig5", ("side", "quartile", "epoch"), ("gradient",)),
    "fig7": Shown("fig7", ("method", "factors"), ("seconds", "relative_time")),
    "fig8": Shown("fig8", ("method",), ("rmse", "loss", "relative_bytes", "switched"), _ends),
    "curves": Shown("fig8", ("method",), ("rmse", "loss"), _with_losses),
    "fig9": Shown(
        "fig9",
        ("variant",),
        ("seconds", "relative_time", "over_n1", "rmse", "loss"),
        lambda result: _relative(result, "over_n1", variant="mascot-n1"),
    ),
    "fig10": Shown("fig10", ("lookup", "groups"), ("seconds", "relative_time")),
    "fig11": Shown("fig11", ("groups",), ("seconds", "rmse")),
    "table2": Shown(
        "table2",
        ("period", "sample_ratio"),
        ("rmse", "seconds", "relative_time"),
        lambda result: _relative(result, "relative_time", period=NAIVE[0], sample_ratio=NAIVE[1]),
    ),
    "tests": Shown(
        "table2",
        ("quantity",),
        ("difference", "p_value", "significant"),
        itemgetter("tests"),
    ),
    "beyond": Shown("beyond", ("name",), ("rmse", "loss", "relative_bytes", "relative_time")),
    "pruning": Shown(
        "pruning",
        ("method", "name"),
        ("rmse", "loss", "relative_error", "whole_rmse", "visited", "relative_time"),
    ),
}
"""By the names of the tables in ``report.md``; and what figures alone show."""


def shown_rows(shown: Shown, results: Mapping[str, Result]) -> Rows:
    """Return the rows to show, each with what the paper says of its fields as ``paper``.

    Raises
    ------
    DataError
        A row lacks a field.
    """
    try:
        return [{**row, "paper": _paper(shown, row)} for row in shown.rows(results[shown.figure])]
    except (KeyError, TypeError) as error:
        raise DataError(f"{shown.figure}.json: lacks {error}; repeat the stage") from error


def _paper(shown: Shown, row: Mapping[str, Any]) -> dict[str, float | str | None]:
    values = {field: row[field] for field in shown.fields}
    path = "/".join([shown.figure, *(str(row[name]) for name in shown.names)])
    return {field: published.find(path, row["data"], field) for field in values}
