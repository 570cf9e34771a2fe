"""Encode click data: ids become rows of their field's table by their counts in training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mascot_jax.clicks.data import SHARED_ROW, ClickData
from mascot_jax.clicks.raw import LABEL, PROBABILITY, RawClicks, Schema, category_name, dense_name
from mascot_jax.errors import DataError

_MERGED_AT: Final = 1 << 22
"""Distinct ids that are gathered before they are merged with those known."""

Transform = Literal["log", "standard", "none"]


@dataclass(frozen=True)
class Numbers:
    """What is made of the columns of numbers, and of the counts of ids.

    Attributes
    ----------
    transform : str
        As ``encode.numbers``.
    mean, std : float64 [d]
        Of the training rows' numbers, those of counts behind the others.
    count_fields : tuple of int
        Places of the fields whose ids' counts become numbers, as log(1 + count) in standard
        deviations from the mean.
    """

    transform: Transform
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    count_fields: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Encoder:
    """The maps that training data gave, which encode other rows alike.

    Attributes
    ----------
    schema : Schema
        The columns.
    ids : tuple of polars.Series
        For each field its ids (String, the empty one for a missing id): the id at place i has row
        i + 1, and the most frequent id is first.
    counts : tuple of int64 [rows]
        For each field, how often each row occurs in the training rows.
    numbers : Numbers
        How numbers are transformed.
    facts : dict
        What is needed to read other files alike: ``name`` of the data set, ``columns``, and
        ``header``, the header line of a file whose columns are given by position.
    """

    schema: Schema
    ids: tuple[pl.Series, ...]
    counts: tuple[NDArray[np.int64], ...]
    numbers: Numbers
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Rows of each field's table, row 0 included."""
        return tuple(ids.len() + 1 for ids in self.ids)

    @cached_property
    def _lookups(self) -> tuple[_Lookup, ...]:
        return tuple(map(_Lookup.of, self.ids))

    def encode(self, frames: Iterable[pl.DataFrame]) -> ClickData:
        """Encode rows; see `encode_parts`.

        Rows without labels get the label 0.

        Raises
        ------
        DataError
            There is no row.
        """
        pieces = [
            (
                frame[LABEL].to_numpy()
                if LABEL in frame.columns
                else np.zeros(frame.height, np.uint8),
                *self._encode_frame(frame),
            )
            for frame in frames
        ]
        if not pieces:
            raise DataError("there are no rows to encode")
        labels, dense, categories = (np.concatenate(column) for column in zip(*pieces, strict=True))
        return self._data(labels, dense, categories)

    def shared(self, data: ClickData) -> dict[str, int]:
        """Return, for each field, how many rows of the data have an unseen or rare id."""
        found = np.count_nonzero(data.categories == SHARED_ROW, axis=0)
        return dict(zip(self.schema.categories, found.tolist(), strict=True))

    def _data(
        self,
        labels: NDArray[np.uint8],
        dense: NDArray[np.float32],
        categories: NDArray[np.uint32],
    ) -> ClickData:
        return ClickData(labels, dense, categories, self.cardinalities, self.counts)

    def _encode_frame(self, frame: pl.DataFrame) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
        categories = np.empty((frame.height, len(self.ids)), np.uint32)
        for place, lookup in enumerate(self._lookups):
            categories[:, place] = lookup.rows_of(frame[category_name(place)])
        columns = [frame[dense_name(i)].to_numpy() for i in range(len(self.schema.dense))]
        given = len(columns)
        columns += [
            _known_counts(self.counts[place])[categories[:, place]]
            for place in self.numbers.count_fields
        ]
        values = np.empty((frame.height, len(columns)), np.float64)
        for place, column in enumerate(columns):
            values[:, place] = column
        return _transformed(values, self.numbers, given), categories


@dataclass(frozen=True)
class Parts:
    """Data that was divided and encoded.

    Attributes
    ----------
    encoder : Encoder
        The maps, of the training rows alone.
    data : dict of str to ClickData
        ``train``, ``validation`` and ``test``, each in the order of the file.
    probabilities : dict of str to float32 [n]
        Of planted data, the probability of each label, by part; else empty.
    report : dict
        Rows and clicks of each part; for each field the ids seen in training, the rows of its
        table, and in each part the rows with an unseen or rare id.
    """

    encoder: Encoder
    data: dict[str, ClickData]
    probabilities: dict[str, NDArray[np.float32]]
    report: dict[str, Any]


PARTS: Final = ("train", "validation", "test")


def encode_parts(
    raw: RawClicks,
    part_of: NDArray[np.uint8],
    *,
    min_count: int,
    most_rows: int | None = None,
    transform: Transform = "log",
    count_fields: Sequence[str] = (),
) -> Parts:
    """Build the maps from the training rows, and encode all rows with them.

    Parameters
    ----------
    raw : RawClicks
        The rows, which are read two to four times, as the transform asks for.
    part_of : uint8 [rows]
        Part of each row, as a place in `PARTS`.
    min_count, most_rows, transform, count_fields
        As in `EncodeSettings`.

    Raises
    ------
    DataError
        A field of ``count_fields`` does not exist, there is no training row, or all of them have
        the same label.
    """
    places = _places(raw.schema, count_fields)
    ids, counts, seen = _count(raw, part_of, min_count, most_rows)
    numbers = _fit_numbers(raw, part_of, transform, counts, places)
    facts = {key: raw.facts[key] for key in ("name", "columns", "header") if key in raw.facts}
    encoder = Encoder(raw.schema, ids, counts, numbers, facts)
    data, probabilities = _encode_each(raw, part_of, encoder)
    _check_labels(raw, data["train"])
    return Parts(encoder, data, probabilities, _report(encoder, data, seen))


def _places(schema: Schema, names: Sequence[str]) -> tuple[int, ...]:
    missing = [name for name in names if name not in schema.categories]
    if missing:
        raise DataError(
            f"encode.count_fields: {missing[0]!r} is no field; there are "
            f"{', '.join(schema.categories)}"
        )
    return tuple(schema.categories.index(name) for name in names)


def _training(raw: RawClicks, part_of: NDArray[np.uint8]) -> Iterator[pl.DataFrame]:
    """Yield the training rows."""
    for frame, parts in _with_parts(raw, part_of):
        yield frame.filter(pl.Series(parts == 0))


def _with_parts(
    raw: RawClicks, part_of: NDArray[np.uint8]
) -> Iterator[tuple[pl.DataFrame, NDArray[np.uint8]]]:
    start = 0
    for frame in raw.frames():
        yield frame, part_of[start : start + frame.height]
        start += frame.height


def _count(
    raw: RawClicks, part_of: NDArray[np.uint8], min_count: int, most_rows: int | None
) -> tuple[tuple[pl.Series, ...], tuple[NDArray[np.int64], ...], list[int]]:
    """Return each field's ids with a row of their own, the counts of rows, and all ids seen."""
    tallies = [_Tally() for _ in raw.schema.categories]
    rows = 0
    for frame in _training(raw, part_of):
        rows += frame.height
        for place, tally in enumerate(tallies):
            tally.add(frame[category_name(place)])
    if not rows:
        raise DataError("there are no training rows: lower encode.validation or encode.test")
    ids, counts, seen = [], [], []
    for tally in tallies:
        table = tally.total()
        seen.append(table.height)
        kept = table.filter(pl.col("count") >= min_count).sort(
            ["count", "id"], descending=[True, False]
        )
        kept = kept.head(len(kept) if most_rows is None else most_rows - 1)
        held = kept["count"].cast(pl.Int64).to_numpy()
        ids.append(kept["id"])
        counts.append(np.concatenate([[rows - held.sum()], held]).astype(np.int64))
    return tuple(ids), tuple(counts), seen


class _Tally:
    """Count of each id of one field, merged now and then."""

    def __init__(self) -> None:
        self._parts: list[pl.DataFrame] = []
        self._waiting = 0

    def add(self, ids: pl.Series) -> None:
        counted = ids.fill_null("").alias("id").value_counts(name="count")
        self._parts.append(counted.with_columns(pl.col("count").cast(pl.Int64)))
        self._waiting += counted.height
        if self._waiting > max(_MERGED_AT, self._parts[0].height):
            self._parts = [self.total()]
            self._waiting = 0

    def total(self) -> pl.DataFrame:
        return pl.concat(self._parts).group_by("id").agg(pl.col("count").sum())


def _fit_numbers(
    raw: RawClicks,
    part_of: NDArray[np.uint8],
    transform: Transform,
    counts: tuple[NDArray[np.int64], ...],
    places: tuple[int, ...],
) -> Numbers:
    """Return the mean and standard deviation of each number over the training rows."""
    given = len(raw.schema.dense)
    mean, std = np.zeros(given + len(places)), np.ones(given + len(places))
    if transform == "standard" and given:
        names = [dense_name(i) for i in range(given)]
        mean[:given], std[:given] = _moments(
            lambda: (f.select(names).to_numpy().astype(np.float64) for f in _training(raw, part_of))
        )
    for at, place in enumerate(places, start=given):
        logs, weights = np.log1p(_known_counts(counts[place])), counts[place]
        mean[at] = np.average(logs, weights=weights)
        std[at] = np.sqrt(np.average((logs - mean[at]) ** 2, weights=weights)) or 1.0
    return Numbers(transform, mean, std, places)


def _moments(
    values: Callable[[], Iterator[NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of each column, without its missing values."""
    present = sums = squares = np.zeros(1)
    for part in values():
        present = present + np.count_nonzero(~np.isnan(part), axis=0)
        sums = sums + np.nansum(part, axis=0)
    mean = sums / np.maximum(present, 1)
    for part in values():
        squares = squares + np.nansum((part - mean) ** 2, axis=0)
    std = np.sqrt(squares / np.maximum(present, 1))
    return mean, np.where(std > 0, std, 1.0)


def _known_counts(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return counts with 0 for the shared row, whose ids each have next to none."""
    known = counts.copy()
    known[SHARED_ROW] = 0
    return known


def _transformed(values: NDArray[np.float64], numbers: Numbers, given: int) -> NDArray[np.float32]:
    if numbers.transform == "log":
        values[:, :given] = np.log1p(np.maximum(values[:, :given], 0.0))
    elif numbers.transform == "standard":
        values[:, :given] = (values[:, :given] - numbers.mean[:given]) / numbers.std[:given]
    values[:, given:] = (np.log1p(values[:, given:]) - numbers.mean[given:]) / numbers.std[given:]
    return np.nan_to_num(values, nan=0.0).astype(np.float32)


class _Lookup(NamedTuple):
    """Ids of a field in ascending order, sorted once: frames are many."""

    ids: pl.Series
    rows: NDArray[np.uint32]

    @classmethod
    def of(cls, known: pl.Series) -> _Lookup:
        """Return the lookup of ids, whose rows are their places, from 1."""
        order = known.arg_sort()
        return cls(known.gather(order), order.to_numpy().astype(np.uint32) + 1)

    def rows_of(self, ids: pl.Series) -> NDArray[np.uint32]:
        """Return the row of each id; 0 for those that have none of their own."""
        if self.ids.is_empty():
            return np.full(ids.len(), SHARED_ROW, np.uint32)
        ids = ids.fill_null("")
        places = self.ids.search_sorted(ids).to_numpy().clip(max=self.ids.len() - 1)
        there = (self.ids.gather(places) == ids).to_numpy()
        return np.where(there, self.rows[places], np.uint32(SHARED_ROW))


def _encode_each(
    raw: RawClicks, part_of: NDArray[np.uint8], encoder: Encoder
) -> tuple[dict[str, ClickData], dict[str, NDArray[np.float32]]]:
    """Encode all rows into arrays of the parts' sizes."""
    sizes = np.bincount(part_of, minlength=len(PARTS))
    width = len(raw.schema.dense) + len(encoder.numbers.count_fields)
    labels = [np.empty(size, np.uint8) for size in sizes]
    dense = [np.empty((size, width), np.float32) for size in sizes]
    categories = [np.empty((size, len(encoder.ids)), np.uint32) for size in sizes]
    probability = [np.empty(size, np.float32) for size in sizes]
    at, planted = [0] * len(PARTS), False
    for frame, parts in _with_parts(raw, part_of):
        numbers, rows = encoder._encode_frame(frame)
        planted = PROBABILITY in frame.columns
        for part in range(len(PARTS)):
            chosen = parts == part
            place = slice(at[part], at[part] + int(np.count_nonzero(chosen)))
            labels[part][place] = frame[LABEL].to_numpy()[chosen]
            dense[part][place], categories[part][place] = numbers[chosen], rows[chosen]
            if planted:
                probability[part][place] = frame[PROBABILITY].to_numpy()[chosen]
            at[part] = place.stop
    data = {
        name: encoder._data(*columns)
        for name, *columns in zip(PARTS, labels, dense, categories, strict=True)
    }
    return data, dict(zip(PARTS, probability, strict=True)) if planted else {}


def _check_labels(raw: RawClicks, train: ClickData) -> None:
    clicks = int(np.count_nonzero(train.labels))
    if clicks in (0, len(train)):
        raise DataError(
            f"{raw.facts.get('source')}: each of the {len(train)} training rows has the label "
            f"{int(clicks > 0)}: there is nothing to learn; see whether data.columns names the "
            "label, and whether the rows are sorted by it (encode.order)"
        )


def _report(encoder: Encoder, data: dict[str, ClickData], seen: list[int]) -> dict[str, Any]:
    shared = {name: encoder.shared(part) for name, part in data.items()}
    return {
        **{
            name: {"rows": len(part), "clicks": int(np.count_nonzero(part.labels))}
            for name, part in data.items()
        },
        "fields": {
            field: {
                "ids": ids,
                "rows": rows,
                "shared": {name: shared[name][field] for name in data},
            }
            for field, ids, rows in zip(
                encoder.schema.categories, seen, encoder.cardinalities, strict=True
            )
        },
    }
