import re

import pytest

from mascot_jax import settings
from mascot_jax.data.sets import DATA_SETS


def test_every_data_set_of_the_settings_is_known_except_the_generated_one():
    assert set(DATA_SETS) == set(settings.DATA_SET_NAMES) - {"synthetic"}
    assert all(name == dataset.name for name, dataset in DATA_SETS.items())


@pytest.mark.parametrize("dataset", DATA_SETS.values(), ids=DATA_SETS)
def test_a_data_set_can_be_downloaded_and_checked_or_says_how_to_get_it(dataset):
    if dataset.url is None:
        assert dataset.digest is None
        assert "data.source" in dataset.how_to_get
    else:
        assert dataset.url.startswith("https://")
        assert re.fullmatch(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", dataset.digest)
    assert dataset.terms


def test_movielens_is_where_grouplens_has_it():
    named = [dataset for name, dataset in DATA_SETS.items() if name.startswith("ml-")]
    folder = "https://files.grouplens.org/datasets/movielens"
    assert len(named) == 8
    for dataset in named:
        url = f"{folder}/{dataset.name}.zip"
        # Those that change have no digest, and are not downloaded unseen.
        assert dataset.url == url if dataset.digest else url in dataset.how_to_get


def test_no_two_digests_are_equal():
    digests = [dataset.digest for dataset in DATA_SETS.values() if dataset.digest]
    assert len(set(digests)) == len(digests) >= 5


@pytest.mark.parametrize(
    ("name", "low"),
    [("ml-100k", 1), ("ml-1m", 1), ("ml-10m", 0.5), ("ml-25m", 0.5), ("file", None)],
)
def test_rating_ranges(name, low):
    assert DATA_SETS[name].bounds == (None if low is None else (low, 5.0))
