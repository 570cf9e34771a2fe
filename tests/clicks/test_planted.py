"""Generated clicks: their shape, and that the planted probabilities are those of the labels."""

import numpy as np
import polars as pl
import pytest

from mascot_jax.clicks import planted
from mascot_jax.clicks.planted import SCHEMA, generate, generate_clicks, sizes
from mascot_jax.errors import SettingsError
from mascot_jax.settings import ClickDataSettings


def rows(**settings):
    return pl.concat(list(generate(ClickDataSettings(**{"rows": 20_000, **settings})).frames()))


@pytest.fixture(scope="module")
def made():
    return rows(rows=100_000)


def test_labels_have_the_planted_probabilities(made):
    probability, labels = made["probability"].to_numpy(), made["label"].to_numpy()
    for group in np.array_split(np.argsort(probability), 10):
        expected = probability[group].mean()
        assert abs(labels[group].mean() - expected) < 5 * np.sqrt(0.25 / group.size)
    assert 0.2 < labels.mean() < 0.32


def test_columns_are_criteos(made):
    assert made.columns == [
        "label",
        *(f"dense{n}" for n in range(13)),
        *(f"category{n}" for n in range(26)),
        "probability",
    ]
    assert made.null_count().sum_horizontal().item() == 0
    counts = made["dense0"].to_numpy()
    assert (counts == np.floor(counts)).all()
    assert counts.min() >= 0


def test_popular_ids_are_as_frequent_as_their_exponent_says(made):
    frequency = np.arange(1, sizes(320)[0] + 1) ** -planted.ZIPF[0]
    wanted = frequency[:3] / frequency.sum()
    found = made["category0"].value_counts(sort=True)["count"].to_numpy()[:3] / made.height
    np.testing.assert_allclose(found, wanted, rtol=0.05)


def test_tables_are_scaled_down_but_for_small_ones():
    assert sizes(1) == list(planted.KAGGLE_SIZES)
    assert sizes(320)[:6] == [1460, 583, 31660, 6883, 305, 24]
    assert min(n for n in sizes(100_000) if n >= planted.SMALL) == planted.SMALL


def test_the_seed_decides_the_rows():
    first = rows(rows=500)
    assert first.equals(rows(rows=500))
    assert not first.equals(rows(rows=500, seed=1))
    whole = rows(rows=planted.CHUNK + 500)
    assert whole.head(planted.CHUNK).equals(rows(rows=planted.CHUNK))


def test_a_frame_has_criteos_names_and_is_written_as_it_is():
    frame = generate_clicks(300, scale=100_000)
    assert frame.columns == ["label", *SCHEMA.dense, *SCHEMA.categories, "probability"]
    assert frame["C26"].equals(rows(rows=300, scale=100_000)["category25"], check_names=False)
    with pytest.raises(SettingsError, match="rows: 1: must be greater than or equal to 100"):
        generate_clicks(1)
