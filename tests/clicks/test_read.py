"""From a file or a data frame to encoded parts in one step, and other rows alike."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mascot_jax.clicks import encode_like, read_clicks
from mascot_jax.errors import DataError, SettingsError
from tests.support.click_files import criteo_lines

FRAME = pl.DataFrame(
    {
        "clicked": [0, 1, 1, 0, 1, 0, 0, 1],
        "age": [30.0, None, 20.0, 5.0, 7.0, 8.0, 9.0, 10.0],
        "site": ["a", "b", "a", None, "a", "b", "c", "a"],
    }
)
NAMED = {"label": "clicked", "dense": ["age"], "min_count": 2, "validation": 0.0, "test": 0.25}


@pytest.mark.parametrize("convert", [lambda f: f, pl.DataFrame.to_pandas, pl.DataFrame.to_arrow])
def test_a_data_frame_is_read_as_its_file(tmp_path, convert):
    FRAME.write_csv(tmp_path / "rows.csv")
    frame = convert(FRAME)
    assert isinstance(frame, pl.DataFrame | pd.DataFrame | pa.Table)
    of_frame, of_file = read_clicks(frame, **NAMED), read_clicks(tmp_path / "rows.csv", **NAMED)
    for name, data in of_file.data.items():
        np.testing.assert_array_equal(of_frame.data[name].dense, data.dense)
        np.testing.assert_array_equal(of_frame.data[name].categories, data.categories)
    assert of_frame.encoder.facts == of_file.encoder.facts


def test_other_rows_need_no_columns_to_be_named(tmp_path):
    encoder = read_clicks(FRAME, **NAMED).encoder
    (tmp_path / "new.csv").write_text("site,age\na,30\nz,\n")
    data = encode_like(encoder, tmp_path / "new.csv", labelled=None)
    assert data.categories[:, 0].tolist() == [1, 0]
    same = encode_like(encoder, pl.DataFrame({"site": ["a"], "age": [30]}), labelled=None)
    assert (same.dense[0] == data.dense[0]).all()
    with pytest.raises(DataError, match=r"column 'clicked' \(data.columns.label\) is not there"):
        encode_like(encoder, tmp_path / "new.csv", labelled=True)
    with pytest.raises(DataError, match="column 'site'"):
        encode_like(encoder, FRAME.drop("site"), labelled=True)


HEADER, ROWS = "clicked,site,ad\n", ["1,a,x", "0,b,y", "1,a,x", "0,b,y"]
PLACES = {"label": "0", "categories": ["1..2"], "min_count": 1, "validation": 0.0, "test": 0.0}


def test_a_header_line_over_columns_by_position_is_no_row_to_predict_for(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(HEADER + "\n".join(ROWS))
    encoder = read_clicks(path, **PLACES).encoder
    assert encoder.facts["header"] == ["clicked", "site", "ad"]
    expected = [[1, 1], [2, 2], [1, 1], [2, 2]]
    for given in (HEADER, ""):
        path.write_text(given + "\n".join(ROWS))
        assert encode_like(encoder, path, labelled=None).categories.tolist() == expected
    # Names of the columns that are used are enough, and others are a row.
    path.write_text("was it,site,ad\n" + "\n".join(ROWS))
    assert encode_like(encoder, path, labelled=None).categories.tolist() == expected
    path.write_text("clicked,site,advert\n" + "\n".join(ROWS))
    assert len(encode_like(encoder, path, labelled=None)) == 5


def test_every_part_may_have_the_header_line(tmp_path):
    for number in (1, 2):
        (tmp_path / f"rows-{number}.csv").write_text(HEADER + "\n".join(ROWS))
    encoder = read_clicks(tmp_path, **PLACES).encoder
    assert len(encode_like(encoder, tmp_path, labelled=None)) == 8


def test_without_a_header_line_no_row_is_taken_for_one(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(ROWS))
    encoder = read_clicks(path, **PLACES).encoder
    assert "header" not in encoder.facts
    assert len(encode_like(encoder, path, labelled=None)) == 4


def test_criteos_rows_are_encoded_alike_with_and_without_labels(tmp_path):
    (tmp_path / "train.txt").write_bytes(criteo_lines(40))
    parts = read_clicks(tmp_path / "train.txt", name="criteo", test=0.0, min_count=1)
    rows = [row.partition("\t")[2] for row in criteo_lines(40).decode().splitlines()]
    (tmp_path / "test.txt").write_text("\n".join(rows) + "\n")
    data = encode_like(parts.encoder, tmp_path / "test.txt", labelled=None)
    whole = np.concatenate([part.categories for part in parts.data.values()])
    np.testing.assert_array_equal(data.categories, whole)
    assert not data.labels.any()


def test_planted_data_and_its_rows_in_criteos_layout(tmp_path):
    parts = read_clicks(None, name="planted", rows=200, scale=100_000, min_count=1)
    (tmp_path / "rows.txt").write_bytes(criteo_lines(3))
    assert len(encode_like(parts.encoder, tmp_path / "rows.txt", labelled=True)) == 3
    assert set(parts.probabilities) == {"train", "validation", "test"}


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"min_counts": 1}, "encode.min_counts: 1: unknown parameter"),
        ({"validation": 0.6, "test": 0.4}, "must sum to less than 1"),
        ({"numbers": "square"}, "encode.numbers: 'square': must be 'log'"),
        ({"dense": "age"}, "columns.dense: 'age': must be a valid list"),
    ],
)
def test_wrong_settings(settings, problem):
    with pytest.raises(SettingsError, match=problem):
        read_clicks(FRAME, **NAMED | settings)


def test_a_frame_without_rows():
    with pytest.raises(DataError, match="the data frame has no rows"):
        read_clicks(FRAME.clear(), **NAMED)


def test_a_frame_is_not_taken_for_rows_of_another_data_set(tmp_path):
    (tmp_path / "train.txt").write_bytes(criteo_lines(40))
    encoder = read_clicks(tmp_path / "train.txt", name="criteo").encoder
    with pytest.raises(DataError, match="trained on data of 'criteo'"):
        encode_like(encoder, FRAME, labelled=None)


def test_data_beside_the_name_of_other_data_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="'planted': is generated"):
        read_clicks(tmp_path / "rows.csv", name="planted", rows=200)
    with pytest.raises(SettingsError, match="'criteo': is read from a path"):
        read_clicks(FRAME, name="criteo")


def test_columns_of_one_name_are_refused(tmp_path):
    (tmp_path / "rows.csv").write_text("clicked,a,a,b\n" + "0,x,y,z\n1,x,w,z\n" * 20)
    with pytest.raises(DataError, match="'a' is there twice: rename one"):
        read_clicks(tmp_path / "rows.csv", label="clicked")


def test_a_file_of_a_whole_archive_is_refused(tmp_path):
    with pytest.raises(DataError, match="name the archive itself"):
        read_clicks(f"{tmp_path}:ratings.dat", name="ml-1m")
