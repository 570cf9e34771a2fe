"""``mascot predict``."""

import io

import numpy as np
import polars as pl
import pytest

from mascot_jax import MatrixFactorization


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("item,when,user\n101,x,1\n140,y,60\n999,z,2\n")
    return path


def test_predictions_are_the_models(model, pairs, mascot_json):
    rows = mascot_json("predict", model, pairs)
    assert [(row["user"], row["item"]) for row in rows] == [(1, 101), (60, 140), (2, 999)]
    expected = MatrixFactorization.load(model).predict([1, 60, 2], [101, 140, 999])
    assert [row["prediction"] for row in rows] == expected.tolist()


def test_unknown_ids_are_named(model, pairs, mascot):
    code, out, err = mascot("predict", model, pairs)
    assert code == 0
    assert err == "mascot: items not in the model: 999: predicted from what else is known\n"
    assert out.splitlines()[0].split() == ["user", "item", "prediction"]
    assert out.splitlines()[3].split()[:2] == ["2", "999"]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_files_hold_what_is_printed(model, pairs, tmp_path, mascot, mascot_json, suffix):
    path = tmp_path / f"out{suffix}"
    code, out, _ = mascot("predict", model, pairs, "-o", path)
    assert (code, out) == (0, "")
    if suffix == ".parquet":
        frame = pl.read_parquet(path)
    else:
        frame = pl.read_csv(path, separator="," if suffix == ".csv" else "\t")
    rows = mascot_json("predict", model, pairs)
    assert frame.columns == list(rows[0])
    for name in frame.columns:
        assert np.allclose(frame[name], [row[name] for row in rows])


def test_columns_by_name_and_position(model, tmp_path, mascot_json):
    named, bare = tmp_path / "named.tsv", tmp_path / "bare.csv"
    named.write_text("who\twhat\n1\t101\n")
    bare.write_text("x,101,1\n")
    (found,) = mascot_json("predict", model, named, "--user", "who", "--item", "what")
    assert mascot_json("predict", model, bare, "--user", "2", "--item", "1") == [found]


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("p.csv", "user,item\n1,101\n2,999\n\n", ()),
        ("p.CSV", "user, item\n1, 101\n2, 999\n", ()),
        ("p.txt", 'userId;movieId;note\n1;101;40" TV\n2;999;x\n', ()),
        ("p.dat", "1::101\n2::999\n", ()),
        ("pairs", "a^b\n1^101\n2^999\n", ("--separator", "^", "--user", "a", "--item", "1")),
    ],
)
def test_pairs_are_read_as_ratings_are(
    model, tmp_path, mascot_json, monkeypatch, name, text, options
):
    (tmp_path / name).write_text(text)
    found = mascot_json("predict", model, tmp_path / name, *options)
    assert [(row["user"], row["item"]) for row in found] == [(1, 101), (2, 999)]
    if "." not in name or "dat" in name:
        options = options or ("--user", "0", "--item", "1")
    with (tmp_path / name).open("rb") as stream:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(stream))
        assert mascot_json("predict", model, "-", *options) == found


def test_clip(model, made, mascot_json):
    rows = mascot_json("predict", model, made / "pairs.csv", "--clip")
    assert all(1 <= row["prediction"] <= 5 for row in rows)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("user,thing\n1,101\n", ["column 'item' (--item) is not there", "'thing'", "--item"]),
        ("user,item\n1,\n", ["line 2: the item is missing"]),
        ("user,item\nanna,101\n", ["user: 'anna' cannot be an id", "kind integer, such as 1"]),
        ("user,item\n1,2,3\n", ["line 2: 3 fields where 2 are expected"]),
    ],
)
def test_files_that_cannot_be_used(model, tmp_path, mascot, text, parts):
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    code, out, err = mascot("predict", model, path)
    assert (code, out) == (1, "")
    for part in parts:
        assert part in err


def test_an_output_that_is_read_is_refused_first(model, made, tmp_path, mascot):
    pairs = tmp_path / "pairs.csv"
    pairs.write_bytes((made / "pairs.csv").read_bytes())
    (tmp_path / "ids.csv").write_text("4\n")
    for argv in (
        ("predict", model, pairs, "-o", pairs),
        ("predict", model, tmp_path, "-o", pairs),
        ("recommend", model, "--users-from", tmp_path / "ids.csv", "-o", tmp_path / "ids.csv"),
        ("recommend", model, "--all", "--candidates", pairs, "-o", pairs),
    ):
        code, out, err = mascot(*argv)
        assert (code, out, "name another file" in err) == (2, "", True)
    assert pairs.read_bytes() == (made / "pairs.csv").read_bytes()


def test_an_output_that_cannot_be_written_is_refused_first(model, tmp_path, mascot):
    code, _, err = mascot("predict", model, tmp_path / "none.csv", "-o", tmp_path / "out.xlsx")
    assert code == 2
    assert "--output:" in err
    assert ".csv, .tsv, .parquet" in err
