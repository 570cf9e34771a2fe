"""Parquet, libFM and MovieLens."""

import polars as pl
import pytest

from mascot_jax.errors import DataError
from tests.support.click_files import read


@pytest.fixture
def parquet(tmp_path):
    def write(**columns):
        pl.DataFrame(columns).write_parquet(tmp_path / "rows.parquet")
        return tmp_path / "rows.parquet"

    return write


def test_parquet(parquet):
    path = parquet(label=[True, False], age=[1.5, None], site=["a", ""], ad=[7, None])
    schema, frame = read(path, "file", dense=["age"])
    assert schema.categories == ("site", "ad")
    assert frame.rows() == [(1, 1.5, "a", "7"), (0, None, None, None)]


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"label": [0, 2]}, "row 2: the label is 2: must be 0 or 1"),
        ({"label": [None, 1]}, "row 1: the label is None: must be 0 or 1"),
        ({"label": ["0", "1"]}, r"column 'label' \(data.columns.label\) is String; it must be num"),
        ({"age": [0.0, float("inf")]}, "row 2: age is inf: must be finite, or null"),
        ({"age": ["a", "b"]}, r"column 'age' \(data.columns.dense\) is String"),
        ({"site": [0.5, 1.0]}, r"column 'site' \(data.columns.categories\) is Float64"),
    ],
)
def test_parquet_that_cannot_be_read(parquet, columns, problem):
    path = parquet(**{"label": [0, 1], "age": [0.5, 1.0], "site": ["a", "b"]} | columns)
    with pytest.raises(DataError, match=problem):
        read(path, "file", dense=["age"])


def test_a_cut_parquet_file(parquet):
    path = parquet(label=[0, 1], age=[0.5, 1.0])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="not a whole Parquet file"):
        read(path, "file", dense=["age"])


def libfm(tmp_path, text):
    path = tmp_path / "rows.libfm"
    path.write_text(text)
    return path


def test_libfm(tmp_path):
    schema, frame = read(
        libfm(tmp_path, "-1 204:1 4798:1\r\n1  42:1.0\t7:1 \n0 1:1 2:1\n"), "libfm"
    )
    assert schema.categories == ("field0", "field1")
    assert frame.rows() == [(0, "204", "4798"), (1, "42", "7"), (0, "1", "2")]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("2 1:1 2:1", "the label '2' is not -1, 0 or 1"),
        ("1 1:1", "1 ids where 2 are expected: the place of an id is its field"),
        ("1 1:1 2:1 3:1", "3 ids where 2 are expected"),
        ("1 1:0.5 2:1", "'1:0.5' is not an id with the value 1"),
        ("1 1:1 \u0662:1", "'\u0662:1' is not an id"),
        ("", "the line is blank"),
    ],
)
def test_a_malformed_line_of_libfm_is_named(tmp_path, line, problem):
    path = libfm(tmp_path, f"1 204:1 4798:1\n{line}\n1 1:1 2:1\n")
    with pytest.raises(DataError, match="line 2: ") as caught:
        read(path, "libfm")
    assert problem in str(caught.value)


def test_parts_of_libfm_are_read_together(tmp_path):
    for name, user in (("a.validation", 1), ("a.test", 2)):
        (tmp_path / f"{name}.libfm").write_text(f"1 {user}:1 9:1\n")
    assert read(tmp_path, "libfm")[1]["category0"].to_list() == ["2", "1"]


MOVIELENS = {
    "ratings.dat": "1::1193::4::978300760\n2::661::3::978302109\n",
    "users.dat": "1::F::1::10::48067\n2::M::56::16::70072\n",
    "movies.dat": "661::James (1996)::Children's|Musical\n1193::Caf\xe9 (1975)::Drama\n",
}


def movielens(tmp_path, **changes):
    for name, content in (MOVIELENS | changes).items():
        (tmp_path / name).write_bytes(content.encode("latin-1"))
    return tmp_path


def test_movielens_as_clicks(tmp_path):
    schema, frame = read(movielens(tmp_path), "ml-1m")
    first = dict(zip(schema.categories, frame.row(0)[2:], strict=True))
    assert frame["label"].to_list() == [1, 0]
    assert frame["dense0"].to_list() == [1975.0, 1996.0]
    assert first["user x genre"] == "1 Drama"
    assert first["movie x occupation"] == "1193 10"
    assert first["user x decade"] == "1 197"
    assert first["movie x region"] == "1193 48"


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("ratings.dat", "1::1193::6::0\n", "line 1: the rating '6' is not 1 to 5"),
        ("ratings.dat", "1::1193::5\n", "line 1: there must be 4 fields, separated by ::"),
        ("users.dat", "1::F::1::10::48067\n2::M::::16::70072\n", "line 2: there must be 5 fields"),
    ],
)
def test_a_malformed_line_of_movielens_is_named(tmp_path, name, text, problem):
    with pytest.raises(DataError, match=problem):
        read(movielens(tmp_path, **{name: text}), "ml-1m")


def test_a_file_of_movielens_is_missing(tmp_path):
    movielens(tmp_path)
    (tmp_path / "users.dat").unlink()
    with pytest.raises(DataError, match=r"holds no file named users\.dat"):
        read(tmp_path, "ml-1m")
