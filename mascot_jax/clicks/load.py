"""Read the click data that the settings name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from mascot_jax.clicks.formats.table import Table
from mascot_jax.clicks.planted import generate
from mascot_jax.clicks.raw import write_raw
from mascot_jax.clicks.sets import CLICK_SETS, ClickSet
from mascot_jax.data.archive import Member, Members
from mascot_jax.data.fetch import fetch
from mascot_jax.data.formats.own import open_tables, table_of, unpacked
from mascot_jax.data.place import STANDARD_INPUT, as_file, split_place
from mascot_jax.errors import DataError
from mascot_jax.settings import ClickColumns, ClickDataSettings


def load_clicks(settings: ClickDataSettings, path: Path) -> int:
    """Generate, or fetch and read, all rows, and write them to a Parquet file.

    Parameters
    ----------
    settings : ClickDataSettings
        The ``data`` block.
    path : Path
        The file to write; `mascot_jax.clicks.raw.open_raw` opens it.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    DataError
        The data cannot be obtained, or a row is malformed; the message has file and line.
    """
    if settings.name == "planted":
        planted = generate(settings)
        return write_raw(path, planted.schema, planted.frames(), planted.facts)
    click_set = CLICK_SETS[settings.name]
    source: str | Path = STANDARD_INPUT
    if settings.source != STANDARD_INPUT:
        source = fetch(click_set, settings.source, settings.digest)
    wanted = settings.columns.model_dump()
    facts: dict[str, Any] = {
        "name": click_set.name,
        "source": settings.source or click_set.url,
        "terms": click_set.terms,
        "columns": wanted,
    }
    with read_rows(click_set, source, settings.columns, labelled=True) as table:
        schema = table.schema
        if click_set.name == "file":  # as found: a file to predict for may have them elsewhere
            wanted |= {"dense": list(schema.dense), "categories": list(schema.categories)}
        if table.header:
            facts["header"] = list(table.header)
        return write_raw(path, schema, table.frames(), facts)


@contextmanager
def read_rows(
    click_set: ClickSet, place: str | Path, columns: ClickColumns, *, labelled: bool | None
) -> Iterator[Table]:
    """Yield the table of a place, whose rows are those of all its files, and are read once.

    Parameters
    ----------
    click_set : ClickSet
        The data set.
    place : str or Path
        A file, also compressed; an archive or folder with one file of the set, or with the parts of
        one table; ``x.zip:NAME``; ``-``, standard input.
    columns : ClickColumns
        Columns of the data set ``file``.
    labelled : bool or None
        Whether the rows must have labels; None takes them where they are.

    Raises
    ------
    DataError
        There is no such file, or it cannot be read; the rows raise it for a malformed one.
    """
    if str(place) != STANDARD_INPUT and not split_place(place)[0].exists():
        raise DataError(f"{place}: there is no such file")
    if click_set.whole:
        if split_place(place)[1] is not None:
            raise DataError(f"{place}: name the archive itself: it is read as a whole")
        with as_file(Path(place)) as path:
            member = Member(path.name, str(place), path, "*")
            yield click_set.open_member(member, columns, labelled)
        return
    with open_tables(place, click_set.wanted) as tables, ExitStack() as opened:
        chosen = _chosen(click_set, tables)
        # Unpacked one after the other: a day of Criteo's takes 50 GB.
        first = opened.enter_context(unpacked(chosen[0], tables))
        table = click_set.open_member(first, columns, labelled)

        def rows() -> Iterator[pl.DataFrame]:
            yield from table.frames()
            opened.close()
            for packed in chosen[1:]:
                with unpacked(packed, tables) as member:
                    part = click_set.open_member(member, columns, table.labelled)
                    _check_part(part, table, member, first)
                    yield from part.frames()

        yield replace(table, frames=rows)


def _check_part(part: Table, table: Table, member: Member, first: Member) -> None:
    if part.schema != table.schema:
        raise DataError(
            f"{member.label}: its columns are not those of {first.label}, of which it seems to be "
            "a part: name the file itself"
        )


def _chosen(click_set: ClickSet, tables: Members) -> list[Member]:
    """Return the only file, or all parts of the only table, in the order of their numbers."""
    found = sorted(tables.found, key=lambda member: _numbers(member.name))
    if not click_set.parts and len({table_of(member.name) for member in found}) > 1:
        raise DataError(
            f"{tables.source}: holds {len(found)} files, {[m.name for m in found][:5]}: name the "
            f"file itself, such as {tables.source}:{found[0].name}"
        )
    return found


def _numbers(name: str) -> list[Any]:
    """Return a name as a key by which part 2 is before part 10."""
    return [int(part) if part.isdecimal() else part for part in re.split("([0-9]+)", name)]
