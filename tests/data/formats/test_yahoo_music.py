import io
import tarfile

import polars as pl
import pytest

from mascot_jax.data.formats import text
from mascot_jax.data.formats.yahoo_music import read_yahoo_music
from mascot_jax.errors import DataError

TRAINING = (
    b"0|3\n507696\t90\t3811\t20:03:00\n137915\t0\t3811\t20:20:00\n5\t100\t3811\t20:20:00\n"
    b"1|1\n5\t30\t3812\t00:00:00\n"
    b"2|0\n"
    b"3|1\n7\t50\t3812\t00:00:00\n"
)
VALIDATION = b"0|1\n7\t75\t4000\t01:00:00\n3|1\n5\t25\t4000\t02:00:00\n"
ROWS = [
    (0, 507696, 4.599999904632568, False),
    (0, 137915, 1.0, False),
    (0, 5, 5.0, False),
    (1, 5, 2.200000047683716, False),
    (3, 7, 3.0, False),
    (0, 7, 4.0, True),
    (3, 5, 2.0, True),
]


def write(folder, training=TRAINING, validation=VALIDATION):
    (folder / "trainIdx1.txt").write_bytes(training)
    (folder / "validationIdx1.txt").write_bytes(validation)
    (folder / "testIdx1.txt").write_bytes(b"0|1\n9\t4000\t01:00:00\n")
    return folder


@pytest.mark.parametrize("size", [1, 40, 2**20])
def test_ratings_are_mapped_and_the_validation_file_is_the_test_set(tmp_path, monkeypatch, size):
    monkeypatch.setattr(text, "PIECE_BYTES", size)
    frame = read_yahoo_music(write(tmp_path))
    assert frame.rows() == ROWS
    assert frame.schema == {
        "user": pl.Int64,
        "item": pl.Int64,
        "rating": pl.Float32,
        "test": pl.Boolean,
    }


def test_an_archive(tmp_path):
    source = tmp_path / "track1.tgz"
    with tarfile.open(source, "w:gz") as out:
        for name, content in (("trainIdx1.txt", TRAINING), ("validationIdx1.txt", VALIDATION)):
            info = tarfile.TarInfo(f"track1/{name}")
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    assert read_yahoo_music(source).rows() == ROWS


@pytest.mark.parametrize("size", [1, 2**20])
@pytest.mark.parametrize(
    ("training", "line", "stated", "follow"),
    [
        (TRAINING.replace(b"0|3", b"0|4"), 1, 4, 3),
        (TRAINING.replace(b"1|1", b"1|0"), 5, 0, 1),
        (TRAINING.replace(b"2|0", b"2|1"), 7, 1, 0),
        (TRAINING[: TRAINING.index(b"7\t50")], 8, 1, 0),
    ],
)
def test_a_user_with_fewer_or_more_ratings_than_stated(
    tmp_path, monkeypatch, size, training, line, stated, follow
):
    monkeypatch.setattr(text, "PIECE_BYTES", size)
    message = rf"trainIdx1\.txt, line {line}: .* states {stated} lines and {follow} follow"
    with pytest.raises(DataError, match=message):
        read_yahoo_music(write(tmp_path, training))


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (b"5\t30\t3812", "3 fields where 4 are expected"),
        (b"5\t30\t3812\t00:00:00\t1", "5 fields where 4 are expected"),
        (b"5\t101\t3812\t00:00:00", "the rating '101' is out of range; .* from 0 to 100"),
        (b"5\t-1\t3812\t00:00:00", "the rating '-1' is out of range"),
        (b"5\tx\t3812\t00:00:00", "the rating 'x' is not a number"),
        (b"5.0\t30\t3812\t00:00:00", r"the id '5\.0' is not an integer"),
        (b"5|x", r"a heading looks like '0\|166'"),
        (b"|5", r"a heading looks like '0\|166'"),
        (b"\xff\t30\t3812\t00:00:00", "this is not UTF-8 text"),
    ],
)
def test_a_malformed_row_is_named(tmp_path, row, problem):
    training = TRAINING.replace(b"5\t30\t3812\t00:00:00", row)
    with pytest.raises(DataError, match=rf"trainIdx1\.txt, line 6: {problem}"):
        read_yahoo_music(write(tmp_path, training))


@pytest.mark.parametrize("name", ["trainIdx1.txt", "validationIdx1.txt"])
def test_a_missing_or_empty_file_is_named(tmp_path, name):
    source = write(tmp_path)
    (source / name).write_bytes(b"")
    with pytest.raises(DataError, match=f"{name}: the file is empty"):
        read_yahoo_music(source)
    (source / name).unlink()
    with pytest.raises(DataError, match=f"holds no file named {name}"):
        read_yahoo_music(source)


def test_the_training_file_alone_is_not_enough(tmp_path):
    with pytest.raises(DataError, match=r"trainIdx1\.txt: holds no file named validationIdx1\.txt"):
        read_yahoo_music(write(tmp_path) / "trainIdx1.txt")
