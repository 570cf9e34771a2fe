"""What is written in a format is read back, whatever the ids and wherever pieces end."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mascot_jax.data.archive import Member
from mascot_jax.data.formats import text
from mascot_jax.data.formats.delimited import read_delimited
from mascot_jax.data.formats.dialect import Dialect
from mascot_jax.data.formats.netflix import read_netflix
from mascot_jax.data.formats.parquet import read_parquet
from mascot_jax.data.formats.yahoo_music import read_yahoo_music
from mascot_jax.settings import Columns

few = settings(max_examples=20, deadline=None)
INT64 = st.integers(-(2**63), 2**63 - 1)
PLACED = Columns(user="0", item="1", rating="2")
# Blocks of an owner's ratings: owners need not be distinct, nor ids.
POSITIVE = st.integers(0, 10**18 - 1)
BLOCKS = st.lists(
    st.tuples(POSITIVE, st.lists(st.tuples(POSITIVE, st.integers(1, 5)), max_size=4)),
    min_size=1,
    max_size=6,
)
SIZES = st.integers(1, 60)
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("round-trips")


def in_pieces(size, read, *arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "PIECE_BYTES", size)
        return read(*arguments)


@few
@given(
    rows=st.lists(st.tuples(INT64, INT64, st.integers(1, 5)), min_size=1, max_size=20),
    separator=st.sampled_from(["\t", "::", ",", "|"]),
    end=st.sampled_from(["\n", "\r\n"]),
    size=SIZES,
)
def test_lines_of_integers(folder, rows, separator, end, size):
    path = folder / "ratings.txt"
    lines = [separator.join(map(str, (*row, 881250949))) for row in rows]
    path.write_bytes(end.join(lines).encode())
    member = Member(path.name, path.name, path, "*")
    frame = in_pieces(size, read_delimited, member, Dialect(separator, 4, (1.0, 5.0)), PLACED)
    assert frame.rows() == rows
    assert frame.schema == {"user": pl.Int64, "item": pl.Int64, "rating": pl.Float32}


@few
@given(blocks=BLOCKS, size=SIZES)
def test_netflix(folder, blocks, size):
    lines = [
        f"{movie}:\n" + "".join(f"{user},{stars},2005-09-06\n" for user, stars in ratings)
        for movie, ratings in blocks
    ]
    (folder / "combined_data_1.txt").write_text("".join(lines), encoding="ascii")
    expected = [(u, movie, float(r)) for movie, ratings in blocks for u, r in ratings]
    # Every second pair is in the probe set, wherever it occurs.
    pairs = {(user, movie) for user, movie, _ in expected[::2]}
    probe = "".join(f"{movie}:\n{user}\n" for user, movie in sorted(pairs)) or "1:\n"
    (folder / "probe.txt").write_text(probe, encoding="ascii")
    frame = in_pieces(size, read_netflix, folder)
    assert frame.rows() == [(u, i, r, (u, i) in pairs) for u, i, r in expected]


@few
@given(training=BLOCKS, validation=BLOCKS, size=SIZES)
def test_yahoo_music(folder, training, validation, size):
    expected = []
    for name, blocks in (("trainIdx1.txt", training), ("validationIdx1.txt", validation)):
        lines = [
            f"{user}|{len(ratings)}\n"
            + "".join(f"{item}\t{25 * (stars - 1)}\t3811\t20:03:00\n" for item, stars in ratings)
            for user, ratings in blocks
        ]
        (folder / name).write_text("".join(lines), encoding="ascii")
        test = name != "trainIdx1.txt"
        expected += [(user, i, float(r), test) for user, ratings in blocks for i, r in ratings]
    assert in_pieces(size, read_yahoo_music, folder).rows() == expected


IDS = st.one_of(
    st.lists(INT64, min_size=3, max_size=3).map(lambda ids: (ids, ids)),
    st.lists(st.integers(0, 2**64 - 1), min_size=3, max_size=3).map(
        lambda ids: (pl.Series(ids, dtype=pl.UInt64), ids if max(ids) < 2**63 else [*map(str, ids)])
    ),
    st.lists(st.text(min_size=1), min_size=3, max_size=3).map(
        lambda ids: (ids, ids if any(not _is_integer(i) for i in ids) else [*map(int, ids)])
    ),
)


def _is_integer(text):
    return text.isascii() and text.removeprefix("-").isdigit() and str(int(text)) == text


@few
@given(users=IDS, items=IDS, ratings=st.lists(FLOATS, min_size=3, max_size=3))
def test_parquet(folder, users, items, ratings):
    path = folder / "ratings.parquet"
    pl.DataFrame({"item": items[0], "rating": ratings, "user": users[0]}).write_parquet(path)
    frame = read_parquet(Member(path.name, path.name, path, "*"), Columns())
    assert frame["user"].to_list() == users[1]
    assert frame["item"].to_list() == items[1]
    assert frame["rating"].to_list() == ratings
