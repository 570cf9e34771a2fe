"""Generate clicks from a known truth, with the shape of Criteo's display advertising data.

13 counts and 26 fields, whose sizes are Criteo Kaggle's, the large ones scaled down, and whose ids
are as unevenly frequent as there. A planted model gives the probability of each click: the best
reachable AUC and log loss are those of these probabilities. The same settings give the same rows,
as far as NumPy's generators and logarithms do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts
from mascot_jax.clicks.raw import LABEL, PROBABILITY, RawClicks, Schema, category_name, dense_name
from mascot_jax.settings import ClickDataSettings, validate

SCHEMA: Final = Schema(
    tuple(f"I{number}" for number in range(1, 14)), tuple(f"C{number}" for number in range(1, 27))
)
"""Criteo's columns."""
KAGGLE_SIZES: Final = (
    *(1460, 583, 10131227, 2202608, 305, 24, 12517, 633, 3, 93145, 5683, 8351593, 3194),
    *(27, 14992, 5461306, 10, 5652, 2173, 4, 7046547, 18, 15, 286181, 105, 142572),
)
"""Different ids of each field of Criteo Kaggle (DLRM's preprocessing)."""
ZIPF: Final = (
    *(1.889, 1.414, 0.96, 1.053, 2.411, 3.0, 0.957, 2.19, 0.0, 1.096, 1.032, 0.975, 1.022),
    *(2.881, 1.125, 1.01, 3.0, 1.248, 1.462, 0.0, 0.991, 3.0, 3.0, 1.168, 2.597, 1.225),
)
"""Exponent of each field, with which 7,393 rows show as many different ids as those of the head of
Criteo Kaggle do. `studies.notes.zipf` fits them; other rows of the head change them by 0.01 at
most."""
SMALL: Final = 2000
"""Fields of fewer ids are not scaled down, and others not below."""
CHUNK: Final = 1 << 16
"""Rows that one random stream makes: part of what the seed means."""

# At scale 32, a quarter of the labels is 1, and the best reachable AUC is .81, as of Criteo Kaggle.
BIAS: Final = -1.5
DENSE_STD: Final = 0.65
"""Standard deviation of what the counts add to the logit."""
ID_STD: Final = 0.26
"""Standard deviation of an id's effect."""
PAIR_STD: Final = 0.40
"""Standard deviation of the components of an id's vector; ids add the products of these."""
PAIR_RANK: Final = 4
_TRUTH, _ROWS = range(2)


@dataclass(frozen=True)
class _Field:
    """One field: cumulative frequency, effect and vector of each id, and the ids' text."""

    cumulative: NDArray[np.float64]
    effect: NDArray[np.float64]
    vector: NDArray[np.float64]
    ids: pl.Series


@dataclass(frozen=True)
class _Truth:
    """The planted model. ``log_mean`` and ``log_std`` are of log(1 + count)."""

    location: NDArray[np.float64]
    spread: NDArray[np.float64]
    log_mean: NDArray[np.float64]
    log_std: NDArray[np.float64]
    weight: NDArray[np.float64]
    fields: tuple[_Field, ...]


def sizes(scale: int) -> list[int]:
    """Return the number of ids of each field."""
    return [n if n < SMALL else max(SMALL, n // scale) for n in KAGGLE_SIZES]


def generate_clicks(rows: int, *, scale: int = 320, seed: int = 0) -> pl.DataFrame:
    """Generate clicks in Criteo's columns, with a known best AUC and log loss.

    Parameters
    ----------
    rows
        Number of rows, at least 100.
    scale
        Fields of 2,000 ids or more have so many times fewer than in Criteo's Kaggle set, but no
        fewer than 2,000.
    seed
        The same seed gives the same rows.

    Returns
    -------
    polars.DataFrame
        ``label`` (UInt8), ``I1`` to ``I13`` (Int64), ``C1`` to ``C26`` (String)
        and ``probability`` (Float32), that the label is 1.

    Raises
    ------
    SettingsError
        A number is out of range.
    """
    settings = validate(ClickDataSettings, {"rows": rows, "scale": scale, "seed": seed})
    frame = pl.concat(list(_frames(settings)))
    names = dict(zip(SCHEMA.types, [*SCHEMA.dense, *SCHEMA.categories], strict=True))
    return frame.rename(names).with_columns(pl.col(SCHEMA.dense).cast(pl.Int64))


def generate(settings: ClickDataSettings) -> RawClicks:
    """Generate the clicks that ``settings`` describe.

    Parameters
    ----------
    settings
        ``rows``, ``scale`` and ``seed`` are used.

    Returns
    -------
    RawClicks
        In Criteo's columns, with ``probability``, that each label is 1.
    """
    facts = {
        "name": "planted",
        "source": f"generated: {settings.rows} rows, scale {settings.scale}, seed {settings.seed}",
    }
    return RawClicks(SCHEMA, settings.rows, lambda: _frames(settings), facts)


def _frames(settings: ClickDataSettings) -> Iterator[pl.DataFrame]:
    truth = _plant(settings)
    for number, part in enumerate(parts(settings.rows, CHUNK)):
        rng = _generator(settings.seed, _ROWS, number)
        yield _draw(truth, part.stop - part.start, rng)


def _generator(seed: int, *stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=stream)))


def _plant(settings: ClickDataSettings) -> _Truth:
    rng = _generator(settings.seed, _TRUTH)
    columns = len(SCHEMA.dense)
    location, spread = rng.uniform(0.0, 4.0, columns), rng.uniform(0.8, 1.6, columns)
    sample = np.log1p(_counts(location, spread, 20_000, rng))
    fields = tuple(
        _plant_field(place, size, rng) for place, size in enumerate(sizes(settings.scale))
    )
    return _Truth(
        location,
        spread,
        sample.mean(0),
        sample.std(0),
        rng.standard_normal(columns) * DENSE_STD / np.sqrt(columns),
        fields,
    )


def _plant_field(place: int, size: int, rng: np.random.Generator) -> _Field:
    frequency = np.arange(1, size + 1, dtype=np.float64) ** -ZIPF[place]
    frequency /= frequency.sum()
    effect = rng.standard_normal(size) * ID_STD
    vector = rng.standard_normal((size, PAIR_RANK)) * PAIR_STD
    # Means of 0: where one id is in most rows, its effect would be a part of every row's.
    effect -= frequency @ effect
    vector -= frequency @ vector
    return _Field(np.cumsum(frequency), effect, vector, _hashes(place, size))


def _hashes(place: int, size: int) -> pl.Series:
    """Return different ids of eight hexadecimal digits, which hide the popularity."""
    numbers = np.arange(place, place + size, dtype=np.uint64)
    hashed = (numbers * np.uint64(2654435761) + np.uint64(place * 40503)) % np.uint64(2**32)
    return pl.Series([f"{number:08x}" for number in hashed.tolist()], dtype=pl.String)


def _counts(
    location: NDArray[np.float64], spread: NDArray[np.float64], rows: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    drawn = rng.standard_normal((rows, location.size))
    return np.floor(np.exp(location + spread * drawn - 1.0))


def _draw(truth: _Truth, rows: int, rng: np.random.Generator) -> pl.DataFrame:
    counts = _counts(truth.location, truth.spread, rows, rng)
    logit = BIAS + (np.log1p(counts) - truth.log_mean) / truth.log_std @ truth.weight
    made = {dense_name(i): column.astype(np.float32) for i, column in enumerate(counts.T)}
    vectors, squares, ids = np.zeros((rows, PAIR_RANK)), np.zeros(rows), {}
    for place, field in enumerate(truth.fields):
        drawn = np.searchsorted(field.cumulative, rng.random(rows))
        drawn = np.minimum(drawn, field.effect.size - 1)  # the sum may round to less than 1
        logit += field.effect[drawn]
        vectors += field.vector[drawn]
        squares += np.einsum("ij,ij->i", field.vector[drawn], field.vector[drawn])
        ids[category_name(place)] = field.ids.gather(drawn)
    # Half of (sum of vectors)^2 - sum of squares is the sum over pairs of different fields.
    logit += 0.5 * (np.einsum("ij,ij->i", vectors, vectors) - squares) / np.sqrt(len(ids))
    probability = 1 / (1 + np.exp(-logit))
    labels = (rng.random(rows) < probability).astype(np.uint8)
    truth_column = {PROBABILITY: probability.astype(np.float32)}
    return pl.DataFrame({LABEL: labels, **made, **ids, **truth_column})
