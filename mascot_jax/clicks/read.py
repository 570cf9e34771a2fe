"""Read click data from a file or a data frame, and encode it, in one step."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import narwhals as nw
import polars as pl

from mascot_jax.clicks.data import ClickData
from mascot_jax.clicks.encoder import Encoder, Parts, encode_parts
from mascot_jax.clicks.formats.columns import find_places
from mascot_jax.clicks.formats.typed import check_kinds, names_of, typed_frame
from mascot_jax.clicks.load import load_clicks, read_rows
from mascot_jax.clicks.raw import RawClicks, open_raw
from mascot_jax.clicks.sets import CLICK_SETS, file_like
from mascot_jax.clicks.split import divide
from mascot_jax.data.place import STANDARD_INPUT, split_place
from mascot_jax.errors import DataError, SettingsError
from mascot_jax.settings import ClickColumns, ClickDataSettings, EncodeSettings, validate

_COLUMNS = tuple(ClickColumns.model_fields)


def read_clicks(data: Any, *, name: str = "file", **settings: Any) -> Parts:
    """Read, divide and encode click data, for ``ClickModel.fit``.

    Parameters
    ----------
    data
        A path: text with any separator of one character, Parquet, libFM's format, also compressed;
        an archive or folder of its parts; ``x.zip:clicks.csv``, a file in it. Or a data frame:
        pandas, polars, pyarrow, or what else narwhals knows. None for ``planted``.
    name
        The data set: ``file``, whose columns you name; ``criteo``, ``avazu``, ``ml-1m``, ``libfm``;
        or ``planted``, which is generated.
    **settings
        Fields of `ClickColumns` (``label``, ``dense``, ``categories``, ...), of `EncodeSettings`
        (``validation``, ``test``, ``min_count``, ...), and ``rows`` and ``scale`` of planted data.

    Returns
    -------
    Parts
        ``data["train"]``, ``data["validation"]``, ``data["test"]``, the encoder, and a report.

    Raises
    ------
    DataError
        The data cannot be used; the message has the file and line of a malformed row.
    SettingsError
        A setting is unknown or out of range.
    """
    columns = {key: settings.pop(key) for key in _COLUMNS if key in settings}
    planted: dict[str, Any] = {
        key: settings[key] for key in ("rows", "scale", "seed") if key in settings
    }
    encode = {key: value for key, value in settings.items() if key not in ("rows", "scale")}
    how = validate(EncodeSettings, encode, "encode")
    if data is not None and name == "planted":
        raise SettingsError(f"name: {name!r}: is generated: leave data None, or name its kind")
    if data is not None and not isinstance(data, str | os.PathLike):
        if name != "file":
            raise SettingsError(f"name: {name!r}: is read from a path; a data frame is a 'file'")
        return encode_raw(_raw_of_frame(data, validate(ClickColumns, columns, "columns")), how)
    source = None if data is None else os.fspath(data)
    if source is not None and not _is_there(source):
        raise DataError(f"{source}: there is no such file")
    what = validate(
        ClickDataSettings, planted | {"name": name, "source": source, "columns": columns}, "data"
    )
    with tempfile.TemporaryDirectory(prefix="mascot-") as folder:
        path = Path(folder) / "raw.parquet"
        load_clicks(what, path)
        return encode_raw(open_raw(path), how)


def _is_there(source: str) -> bool:
    return source == STANDARD_INPUT or "://" in source or split_place(source)[0].exists()


def encode_raw(raw: RawClicks, settings: EncodeSettings) -> Parts:
    """Divide and encode rows; null settings are the data set's.

    Raises
    ------
    DataError
        As `encode_parts` and `divide`.
    """
    usual = CLICK_SETS.get(raw.facts["name"], CLICK_SETS["criteo"])  # planted data is alike
    part_of = divide(
        raw.rows,
        settings.validation,
        settings.test,
        settings.order or usual.order,
        settings.seed,
    )
    fields = settings.count_fields
    return encode_parts(
        raw,
        part_of,
        min_count=settings.min_count,
        most_rows=settings.most_rows,
        transform=settings.numbers or usual.numbers,
        count_fields=usual.count_fields if fields is None else fields,
    )


def encode_like(
    encoder: Encoder, data: Any, *, labelled: bool | None, changes: Mapping[str, Any] | None = None
) -> ClickData:
    """Read other rows as those were read that made an encoder, and encode them.

    Parameters
    ----------
    encoder
        The encoder.
    data
        A path or a data frame, as of `read_clicks`.
    labelled
        Whether the rows must have labels; None takes them where they are. Rows without get 0.
    changes
        Fields of `ClickColumns` that are others than of the rows that made the encoder.

    Raises
    ------
    DataError
        The data cannot be used, or has other columns.
    """
    known = dict(encoder.facts.get("columns", {}))
    columns = validate(ClickColumns, known | dict(changes or {}), "columns")
    name = encoder.facts.get("name", "file")
    if not isinstance(data, str | os.PathLike):
        if name != "file":
            raise DataError(
                f"a data frame, where the model was trained on data of {name!r}: write it to a "
                "file as that data set has them, or train on a data frame"
            )
        return encoder.encode(_raw_of_frame(data, columns, labelled=labelled).frames())
    click_set = CLICK_SETS["criteo" if name == "planted" else name]
    if encoder.facts.get("header"):
        click_set = file_like(encoder.facts["header"])
    with read_rows(click_set, os.fspath(data), columns, labelled=labelled) as table:
        found = (len(table.schema.dense), len(table.schema.categories))
        wanted = (len(encoder.schema.dense), len(encoder.schema.categories))
        if found != wanted:
            raise DataError(
                f"{data}: has {found[0]} columns of numbers and {found[1]} of ids, the model "
                f"{wanted[0]} and {wanted[1]}"
            )
        return encoder.encode(table.frames())


def _raw_of_frame(data: Any, columns: ClickColumns, *, labelled: bool | None = True) -> RawClicks:
    frame = nw.from_native(data, eager_only=True).to_polars()
    places = find_places("the data frame", columns, frame.columns, labelled=labelled)
    chosen = [frame[name] for name in names_of(places, frame.columns)]
    check_kinds("the data frame", places, chosen)
    made = typed_frame("the data frame", places, chosen, columns.positive)
    if not made.height:
        raise DataError("the data frame has no rows")
    known = columns.model_dump() | {
        "dense": list(places.dense),
        "categories": list(places.categories),
    }

    def frames() -> Iterator[pl.DataFrame]:
        yield made

    facts = {"name": "file", "source": "a data frame", "columns": known}
    return RawClicks(places.schema, made.height, frames, facts)
