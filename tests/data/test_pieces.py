"""Ratings that are read piece by piece: the same rows as of a file read at once."""

import resource
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mascot_jax.data import pieces
from mascot_jax.data.formats import parquet, text
from mascot_jax.data.read import open_table, read_table
from mascot_jax.errors import DataError, MissingColumnError
from mascot_jax.settings import Columns


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr(text, "PIECE_BYTES", 64)
    monkeypatch.setattr(parquet, "ROWS_AT_A_TIME", 7)
    monkeypatch.setattr(pieces, "ROWS_AT_A_TIME", 5)
    monkeypatch.setattr(pieces, "MANY", 3)


def some(text_from=1000):
    """Ratings of 40 users; from some row on, user ids are text."""
    number = np.arange(100)
    user = [f"{i % 40}" if i < text_from else f"x{i % 40}" for i in number]
    return pl.DataFrame({"user": user, "item": number % 9 + 7, "rating": number % 5 + 0.5})


def as_csv(frame, folder):
    frame.write_csv(folder / "ratings.csv")
    return folder / "ratings.csv"


def as_parquet(frame, folder):
    frame.write_parquet(folder / "ratings.parquet")
    return folder / "ratings.parquet"


def as_parts(frame, folder):
    (folder / "table").mkdir()
    for number in range(2):
        frame[50 * number : 50 * number + 50].write_csv(folder / f"table/part-{number}.csv")
    return folder / "table"


def as_npz(frame, folder):
    columns = {name: frame[name].cast(pl.Float32).to_numpy() for name in frame.columns}
    columns |= {name: columns[name].astype(int) for name in ("user", "item")}
    np.savez(folder / "ratings.npz", **columns)
    return folder / "ratings.npz"


@pytest.mark.parametrize(
    ("write", "text_from"),
    [(as_npz, 1000), *((w, row) for w in (as_csv, as_parquet, as_parts) for row in (1000, 90))],
)
def test_pieces_are_the_rows_of_the_file(tmp_path, write, text_from):
    place = str(write(some(text_from), tmp_path))
    whole = read_table(place, Columns())
    with open_table(place, Columns()) as found:
        assert found.size == 100
        assert set(found.users.read(slice(None))) == set(whole["user"])
        assert sorted(found.items.read(slice(None))) == sorted(set(whole["item"]))
        for _ in range(2):
            parts = list(found.parts())
            assert max(len(values) for *_, values in parts) <= 5
            columns = [np.concatenate(column).tolist() for column in zip(*parts, strict=True)]
            assert columns == [whole[name].to_list() for name in whole.columns]


def test_a_known_data_set_is_read_at_once(tmp_path):
    lines = [f"{i % 9 + 1}\t{i % 7 + 1}\t{i % 5 + 1}\t881250949\n" for i in range(50)]
    (tmp_path / "ml-100k").mkdir()
    (tmp_path / "ml-100k/u.data").write_text("".join(lines))
    with open_table(str(tmp_path / "ml-100k"), Columns()) as found:
        assert (found.size, found.users.size, found.items.size) == (50, 9, 7)


def test_decimals_are_integers_if_all_are(tmp_path):
    users = pl.Series(["7.0"] * 10 + ["7.5"]).cast(pl.Decimal(10, 1))
    frame = pl.DataFrame({"user": users, "item": range(11), "rating": [1.0] * 11})
    place = str(as_parquet(frame, tmp_path))
    with open_table(place, Columns()) as found:
        assert set(found.users.read(slice(None))) == set(read_table(place, Columns())["user"])


def test_errors_name_the_row_of_the_file(tmp_path):
    frame = some().with_columns(rating=pl.when(pl.col("rating").cum_count() != 60).then("rating"))
    with pytest.raises(DataError, match=r"row 60: rating is None"):
        open_table(str(as_parquet(frame, tmp_path)), Columns()).__enter__()
    with pytest.raises(DataError, match=r"ratings\.csv, line 61: "):
        open_table(str(as_csv(frame, tmp_path)), Columns()).__enter__()
    with pytest.raises(DataError, match="the file has no rows"):
        open_table(str(as_parquet(some().head(0), tmp_path)), Columns()).__enter__()
    with pytest.raises(MissingColumnError):
        open_table(str(as_csv(some().drop("rating"), tmp_path)), Columns()).__enter__()
    with pytest.raises(DataError, match="there is no such file"):
        open_table(str(tmp_path / "none"), Columns()).__enter__()


def own_memory():
    """Bytes that are resident, but for those of files."""
    _, resident, of_files, *_ = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return (int(resident) - int(of_files)) * resource.getpagesize()


def test_few_ids_of_many_rows_take_little_memory(monkeypatch):
    monkeypatch.setattr(pieces, "MANY", 1000)
    ids, found = pl.Series("item", np.arange(1 << 20) % 10), pieces.DistinctIds()
    found.add(ids)
    before = own_memory()
    for _ in range(20):
        found.add(ids)
    assert own_memory() - before < 2 * ids.estimated_size()
    assert sorted(found.series) == list(range(10))
