import re
import zipfile

import pytest

from mascot_jax import settings
from mascot_jax.data.formats.columns import PAIRS, RATINGS, TIMED
from mascot_jax.data.read import read_table
from mascot_jax.data.sets import DATA_SETS
from mascot_jax.errors import DataError
from mascot_jax.settings import Columns, TimedColumns


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


@pytest.mark.parametrize(
    ("name", "member", "line"),
    [
        ("file", "r.csv", "user,item,rating,timestamp\n1,10,5,88\n"),
        ("ml-100k", "u.data", "1\t10\t5\t88\n"),
        ("ml-25m", "ratings.csv", "userId,movieId,rating,timestamp\n1,10,5,88\n"),
    ],
)
def test_only_the_columns_that_are_wanted_are_read(tmp_path, name, member, line):
    path = tmp_path / f"{name}.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr(member, line)
    row = (1, 10, 5.0, "88")
    for keys in (PAIRS, RATINGS, TIMED):
        for columns in (Columns(), TimedColumns()):
            if keys != TIMED or isinstance(columns, TimedColumns):
                assert read_table(str(path), columns, keys).rows() == [row[: len(keys)]]


def test_pairs_need_no_ratings_in_an_archive_of_any_name(tmp_path):
    path = tmp_path / "file.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("pairs.csv", "user,item\n1,10\n")
    assert read_table(str(path), Columns(), PAIRS).rows() == [(1, 10)]


@pytest.mark.parametrize("name", ["netflix", "yahoo-music"])
def test_times_that_are_not_read_are_refused_before_reading(tmp_path, name):
    (tmp_path / name).mkdir()  # empty: reading it would say that a file is missing
    with pytest.raises(DataError, match="the times of this data set are not read"):
        read_table(str(tmp_path / name), TimedColumns(), TIMED)
