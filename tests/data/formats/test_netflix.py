import io
import tarfile
import zipfile

import polars as pl
import pytest

from mascot_jax.data.formats import netflix, text
from mascot_jax.data.formats.netflix import read_netflix
from mascot_jax.errors import DataError

MOVIES = {
    "mv_0000001.txt": b"1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n",
    "mv_0000002.txt": b"2:\n822109,1,2005-05-13\n7,2,2004-01-01\n8,4,2004-01-02\n",
    "mv_0000010.txt": b"10:\n7,5,2004-01-01\n",
}
PROBE = b"1:\n822109\n10:\n7\n2:\n8\n"
ROWS = [
    (1488844, 1, 3.0, False),
    (822109, 1, 5.0, True),
    (822109, 2, 1.0, False),
    (7, 2, 2.0, False),
    (8, 2, 4.0, True),
    (7, 10, 5.0, True),
]


def tar_of(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def unpacked(folder):
    movies = {f"training_set/{name}": content for name, content in MOVIES.items()}
    return write(folder / "set", movies | {"probe.txt": PROBE})


def original(folder):
    return write(folder / "set", {"training_set.tar": tar_of(MOVIES), "probe.txt": PROBE})


def nested(folder):
    files = {"download/training_set.tar": tar_of(MOVIES), "download/probe.txt": PROBE}
    return write(folder, {"nf_prize_dataset.tar": tar_of(files)}) / "nf_prize_dataset.tar"


KAGGLE = {
    "combined_data_1.txt": MOVIES["mv_0000001.txt"] + MOVIES["mv_0000002.txt"],
    "combined_data_2.txt": MOVIES["mv_0000010.txt"],
    "probe.txt": PROBE,
    "qualifying.txt": b"1:\n1046323,2005-12-19\n",
}


def kaggle(folder):
    path = folder / "archive.zip"
    with zipfile.ZipFile(path, "w") as out:
        for name, content in KAGGLE.items():
            out.writestr(name, content)
    return path


@pytest.mark.parametrize("layout", [unpacked, original, nested, kaggle])
@pytest.mark.parametrize("size", [1, 2**20], ids=["small pieces", "large pieces"])
@pytest.mark.parametrize("batch", [2, 10**6])
def test_every_layout_gives_the_same_ratings(tmp_path, monkeypatch, layout, size, batch):
    monkeypatch.setattr(text, "PIECE_BYTES", size)
    monkeypatch.setattr(netflix, "BATCH_ROWS", batch)
    frame = read_netflix(layout(tmp_path))
    assert frame.rows() == ROWS
    assert frame.schema == {
        "user": pl.Int64,
        "item": pl.Int64,
        "rating": pl.Float32,
        "test": pl.Boolean,
    }


def test_windows_line_ends(tmp_path):
    files = {name: content.replace(b"\n", b"\r\n") for name, content in KAGGLE.items()}
    assert read_netflix(write(tmp_path, files)).rows() == ROWS


def test_a_probe_pair_listed_twice_counts_once(tmp_path):
    frame = read_netflix(write(tmp_path, KAGGLE | {"probe.txt": PROBE + b"1:\n822109\n"}))
    assert frame.rows() == ROWS


@pytest.mark.parametrize(
    ("bad", "line", "problem"),
    [
        (b"1,2,2005-01-01\n1:\n", 1, "a heading such as '1:' must come before the first rating"),
        (b"1:\n1,2\n", 2, "2 fields where 3 are expected"),
        (b"1:\n1,2,2005-01-01,4\n", 2, "4 fields where 3 are expected"),
        (b"1:\n1,6,2005-01-01\n", 2, "the rating '6' is out of range; .* from 1 to 5"),
        (b"1:\n1,x,2005-01-01\n", 2, "the rating 'x' is not a number"),
        (b"1:\n1,nan,2005-01-01\n", 2, "the rating 'nan' is not finite"),
        (b"1:\nx,1,2005-01-01\n", 2, "the id 'x' is not an integer"),
        (b"1:\n,1,2005-01-01\n", 2, "the id '' is not an integer"),
        (b"1:\n1,,2005-01-01\n", 2, "field 2 is missing"),
        (b"1:\n1,1,\n", 2, "field 3 is missing"),
        (b"1:\n1,1,2005-01-01\n\n2:\n", 3, "the line is blank"),
        (b"1:\r\n1,1,2005-01-01\r\n\r\n2:\r\n", 3, "the line is blank"),
        (b"1:\n1,1,2005-01-01\nx2:\n", 3, "a heading looks like '1:'"),
        (b"1:\n1,1,2005-01-01\n:\n", 3, "a heading looks like '1:'"),
        (b"1:\n2:,1,2005-01-01\n", 2, "a heading looks like '1:'"),
    ],
)
def test_a_malformed_row_is_named(tmp_path, bad, line, problem):
    source = write(tmp_path, KAGGLE | {"combined_data_2.txt": bad})
    with pytest.raises(DataError, match=rf"combined_data_2\.txt, line {line}: {problem}"):
        read_netflix(source)


def test_a_malformed_probe_is_named(tmp_path):
    with pytest.raises(DataError, match=r"probe\.txt, line 3: 2 fields where 1 are expected"):
        read_netflix(write(tmp_path, KAGGLE | {"probe.txt": b"1:\n822109\n7,3\n"}))


def test_an_empty_movie_file_is_refused(tmp_path):
    source = unpacked(tmp_path)
    (source / "training_set" / "mv_0000002.txt").write_bytes(b"")
    with pytest.raises(DataError, match=r"mv_0000002\.txt: the file is empty"):
        read_netflix(source)


def test_probe_pairs_without_a_rating_are_refused(tmp_path):
    source = write(tmp_path, KAGGLE)
    (source / "combined_data_2.txt").unlink()
    with pytest.raises(DataError, match=r"1 of the 3 pairs in probe\.txt have no rating"):
        read_netflix(source)


def test_missing_files_are_named(tmp_path):
    source = write(tmp_path, KAGGLE)
    (source / "probe.txt").unlink()
    with pytest.raises(DataError, match=r"holds no file named probe\.txt"):
        read_netflix(source)
    with pytest.raises(DataError, match=r"holds neither of the two layouts"):
        read_netflix(write(tmp_path / "other", {"probe.txt": PROBE}))


def test_both_layouts_at_once_would_count_every_rating_twice(tmp_path):
    with pytest.raises(DataError, match="holds both of the two layouts"):
        read_netflix(write(tmp_path, KAGGLE | MOVIES))
