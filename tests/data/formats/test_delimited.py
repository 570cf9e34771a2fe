import csv
import io

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mascot_jax.data.archive import Member
from mascot_jax.data.formats import text
from mascot_jax.data.formats.delimited import read_delimited
from mascot_jax.data.formats.dialect import Dialect
from mascot_jax.errors import DataError
from mascot_jax.settings import Columns

NAMED = Columns()
PLACED = Columns(user="0", item="1", rating="2")
MOVIELENS = {
    "ml-100k": (Dialect("\t", 4, (1.0, 5.0)), PLACED, b"", "\t"),
    "ml-10m": (Dialect("::", 4, (0.5, 5.0)), PLACED, b"", "::"),
    "ml-25m": (
        Dialect(",", 4, (0.5, 5.0)),
        Columns(user="userId", item="movieId"),
        b"userId,movieId,rating,timestamp\n",
        ",",
    ),
}
every_layout = pytest.mark.parametrize(
    ("layout", "columns", "header", "separator"), MOVIELENS.values(), ids=MOVIELENS
)


@pytest.fixture
def member(tmp_path):
    def make(data):
        path = tmp_path / "ratings.txt"
        path.write_bytes(data)
        return Member("ratings.txt", "ratings.txt in set.zip", path, "*")

    return make


def read_csv(member, data, columns=NAMED):
    return read_delimited(member(data), None, columns.model_copy(update={"separator": ","}))


@every_layout
def test_the_movielens_layouts(member, layout, columns, header, separator):
    rows = [(196, 242, 3.0, 881250949), (186, 302, 4.5, 891717742), (196, 1, 1.0, 0)]
    lines = "".join(separator.join(map(str, row)) + "\n" for row in rows).encode()
    frame = read_delimited(member(header + lines), layout, columns)
    assert frame.rows() == [row[:3] for row in rows]
    assert frame.schema == {"user": pl.Int64, "item": pl.Int64, "rating": pl.Float32}


BAD_FIELDS = {
    "missing field": (["7", "8", "3"], "3 fields where 4 are expected"),
    "too many fields": (["7", "8", "3", "0", "0"], "5 fields where 4 are expected"),
    "not a number": (["7", "8", "abc", "0"], "the rating 'abc' is not a number"),
    "spaces": (["7", "8", "3 ", "0"], "the rating '3 ' is not a number"),
    "nan": (["7", "8", "NaN", "0"], "the rating 'NaN' is not finite"),
    "infinite": (["7", "8", "-inf", "0"], "the rating '-inf' is not finite"),
    "too large": (["7", "8", "1e39", "0"], "the rating '1e39' is too large"),
    "too low": (["7", "8", "0", "0"], "the rating '0' is out of range"),
    "too high": (["7", "8", "5.5", "0"], "the rating '5.5' is out of range"),
    "no rating": (["7", "8", "", "0"], "field 3 is missing"),
    "no user": (["", "8", "3", "0"], "field 1 is missing"),
    "no item": (["7", "", "3", "0"], "field 2 is missing"),
    "no time": (["7", "8", "3", ""], "field 4 is missing"),
    "blank line": ([""], "the line is blank"),
}


@every_layout
@pytest.mark.parametrize(("fields", "problem"), BAD_FIELDS.values(), ids=BAD_FIELDS)
@pytest.mark.parametrize("before", [0, 2], ids=["first", "third"])
def test_a_malformed_row_is_named(
    member, layout, columns, header, separator, fields, problem, before
):
    good, bad = separator.join("7841").encode(), separator.join(fields).encode()
    data = header + (good + b"\n") * before + bad + b"\n" + good + b"\n"
    line = before + 1 + (header != b"")
    with pytest.raises(DataError) as info:
        read_delimited(member(data), layout, columns)
    assert f"ratings.txt in set.zip, line {line}: {problem}" in str(info.value)
    assert f"the line is {separator.join(fields)!r}" in str(info.value)


@every_layout
@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(member, layout, columns, header, separator, data):
    with pytest.raises(DataError, match=r"ratings\.txt in set\.zip: the file is empty"):
        read_delimited(member(data), layout, columns)


def test_a_file_with_only_a_header_is_refused(member):
    with pytest.raises(DataError, match="only a header line, no ratings"):
        read_csv(member, b"user,item,rating\n")


def test_line_numbers_count_on_from_piece_to_piece(member, monkeypatch):
    monkeypatch.setattr(text, "PIECE_BYTES", 10)
    lines = [b"user,item,rating"] + [b"%d,%d,3" % (i, i) for i in range(50)]
    assert read_csv(member, b"\n".join(lines)).rows() == [(i, i, 3.0) for i in range(50)]
    lines[37] = b"1,2,x"
    with pytest.raises(DataError, match="line 38: the rating 'x' is not a number"):
        read_csv(member, b"\n".join(lines))


@pytest.mark.parametrize(
    "data",
    [
        b"user,item,rating\n1,2,3\n4,5,1.5",
        b"user,item,rating\r\n1,2,3\r\n4,5,1.5\r\n",
        b"\xef\xbb\xbfuser,item,rating\n1,2,3\n4,5,1.5\n",
        b"user,item,rating\n1,2,3\n4,5,1.5\n\n\n",
        b"rating,time,user,note,item\n3,,1,,2\n1.5,x,4,y,5\n",
        b'"user","item","rating"\n"1",2,3\n4,"5","1.5"\n',
        b" user, item, rating\n1,2,3\n4,5,1.5\n",
    ],
    ids=["no last line end", "crlf", "mark", "blank end", "other columns", "quotes", "spaces"],
)
def test_ways_to_write_the_same(member, data):
    assert read_csv(member, data).rows() == [(1, 2, 3.0), (4, 5, 1.5)]


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        (["1", "-2", "9223372036854775807"], pl.Int64),
        (["1", "2", "b"], pl.String),
        (["1", "2", "007"], pl.String),
        (["1", "2", "+7"], pl.String),
        (["1", "2", "7.0"], pl.String),
        (["1", "2", "9223372036854775808"], pl.String),
        (["é", "日本", '"x, y"'], pl.String),
    ],
)
@pytest.mark.parametrize("size", [1, 1000], ids=["small pieces", "one piece"])
def test_ids_are_integers_only_if_all_are(member, monkeypatch, ids, kind, size):
    monkeypatch.setattr(text, "PIECE_BYTES", size)
    data = "user,item,rating\n" + "".join(f"{i},5,3\n" for i in ids)
    frame = read_csv(member, data.encode())
    assert frame.schema == {"user": kind, "item": pl.Int64, "rating": pl.Float32}
    assert [str(user) for user in frame["user"]] == [i.strip('"') for i in ids]


def test_a_missing_column_lists_what_was_found(member):
    with pytest.raises(DataError) as info:
        read_csv(member, b"who,item,rating\n1,2,3\n")
    assert "column 'user' (data.columns.user) is not there" in str(info.value)
    assert "separated by commas, its first line has ['who', 'item', 'rating']" in str(info.value)


def test_a_column_named_twice_is_refused(member):
    with pytest.raises(DataError, match=r"column 'item' .* is twice there"):
        read_csv(member, b"user,item,item,rating\n1,2,3,4\n")


def test_one_column_for_two_purposes_is_refused(member):
    with pytest.raises(DataError, match=r"data\.columns: user, item and rating must differ"):
        read_csv(member, b"user,item,rating\n1,2,3\n", Columns(item="user"))


def test_positions_mean_no_header(member):
    columns = Columns(user="3", item="0", rating="1")
    assert read_csv(member, b"1,2,3,4\n5,4,7,8\n", columns).rows() == [(4, 1, 2.0), (8, 5, 4.0)]


def test_a_position_that_is_not_there_is_refused(member):
    with pytest.raises(DataError, match=r"column '2' \(data.columns.rating\) is not there"):
        read_csv(member, b"1,2\n", PLACED)


def test_of_your_own_file_only_the_three_columns_must_be_there(member):
    data = b"user,item,rating,time,note\n1,2,3\n1,2,3,\n1,2,-70,4,x\n"
    assert read_csv(member, data)["rating"].to_list() == [3.0, 3.0, -70.0]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (b",2,3,4", "the user is missing"),
        (b'"",2,3,4', "the user is missing"),
        (b"1,2", "the rating is missing"),
        (b"1,2,3,4,5", "5 fields where 4 are expected"),
        (b"1,2,nan,4", "the rating 'nan' is not finite; a rating is a finite number"),
        (b"\xff,2,3,4", "this is not UTF-8 text"),
        (b'"a"b,2,3,4', "its double quotes cannot be understood"),
    ],
)
def test_a_malformed_row_of_your_own_file_is_named(member, row, problem):
    with pytest.raises(DataError, match=f"line 3: {problem}"):
        read_csv(member, b"user,item,rating,time\n1,2,3,4\n" + row + b"\n1,2,3,4\n")


@pytest.mark.parametrize("size", [5, 1000], ids=["small pieces", "one piece"])
def test_quotes_inside_of_a_field_are_part_of_it(member, monkeypatch, size):
    """As of inches: to polars such a line goes on to the next quote, and to the next line."""
    monkeypatch.setattr(text, "PIECE_BYTES", size)
    data = b'user,item,rating,note,a,b,c\n1,TV 40",5\n2,"a ""b""\nc",2,x"\n3,a"b"c,4,y"\n4,7,1\n'
    frame = read_csv(member, data)
    assert frame["user"].to_list() == [1, 2, 3, 4]
    assert frame["item"].to_list() == ['TV 40"', 'a "b"\nc', 'a"b"c', "7"]
    assert frame["rating"].to_list() == [5.0, 2.0, 4.0, 1.0]


@given(
    text=st.text(st.sampled_from('"",,\n\nab1'), min_size=4, max_size=40),
    size=st.integers(1, 60),
)
def test_no_line_is_lost_in_quotes_that_the_csv_module_reads_otherwise(
    tmp_path_factory, text, size
):
    """What is read has the lines that Python's strict reader sees; if it sees none, so many."""
    lines = [line for line in text.split("\n") if line]
    body = "".join(f"{n},{line},x\n" for n, line in enumerate(lines))
    path = tmp_path_factory.getbasetemp() / "quotes.csv"
    path.write_text(f"user,item,a,b,c,d,e,f,g,h\n{body}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mascot_jax.data.formats.text.PIECE_BYTES", size)
        try:
            frame = read_delimited(Member("", "", path, ""), None, NAMED, ("user", "item"))
        except DataError:
            return
    try:
        users = [row[0] for row in csv.reader(io.StringIO(body, newline=""), strict=True)]
    except csv.Error:
        users = [str(n) for n in range(len(lines))]
    assert [str(user) for user in frame["user"]] == users


@pytest.mark.parametrize(
    "data", [b'1a,ba,"a1"aa",b\na,1\n1,1\nb,b"\n', b'x,"bb,a\n"bba"\n"\n', b'x,y,"a\n"b,"c\n"\n']
)
def test_misplaced_quotes_are_refused_where_polars_would_merge_lines(member, data):
    with pytest.raises(DataError, match="its double quotes cannot be understood"):
        read_delimited(member(b"user,item,a,b\n" + data), None, NAMED, ("user", "item"))


def test_the_line_in_a_message_is_short(member):
    with pytest.raises(DataError) as info:
        read_csv(member, b"user,item,rating\n1," + b"x" * 10_000 + b",bad\n")
    assert len(str(info.value)) < 250


def test_a_quote_that_never_closes_is_refused(member, monkeypatch):
    data = b'user,item,rating\n"1,2,3\n' + b"1,2,3\n" * 100
    with pytest.raises(DataError, match="line 2: its double quotes cannot be understood"):
        read_csv(member, data)
    monkeypatch.setattr(text, "MAX_QUOTED_BYTES", 200)
    monkeypatch.setattr(text, "PIECE_BYTES", 20)
    with pytest.raises(DataError, match="line 2: a double quote opens a field and never closes"):
        read_csv(member, data)


def test_every_line_behind_an_open_quote_is_looked_at_once(member, monkeypatch):
    looked_at = []
    flips = text._flips_quoting
    monkeypatch.setattr(text, "PIECE_BYTES", 20)
    monkeypatch.setattr(
        text, "_flips_quoting", lambda data: looked_at.append(len(data)) or flips(data)
    )
    data = b'user,item,rating\n"1' + b"\n1" * 500 + b'",2,3\n4,5,6\n'
    assert read_csv(member, data).height == 2
    assert sum(looked_at) <= len(data)


IDS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20),
    st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1, max_size=20
    ),
)
RATINGS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(users=IDS, items=IDS, rating=RATINGS, size=st.integers(1, 200), crlf=st.booleans())
def test_what_csv_writes_is_read_back(tmp_path_factory, users, items, rating, size, crlf):
    rows = list(zip(users, items, strict=False))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n" if crlf else "\n")
    writer.writerow(["item", "user", "rating"])
    writer.writerows((item, user, rating) for user, item in rows)
    path = tmp_path_factory.getbasetemp() / "round_trip.csv"
    path.write_bytes(out.getvalue().encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "PIECE_BYTES", size)
        frame = read_delimited(Member("", "", path, ""), None, Columns(separator=","))
    assert [(str(u), str(i)) for u, i, _ in frame.rows()] == [(str(u), str(i)) for u, i in rows]
    assert frame["rating"].to_list() == [rating] * len(rows)
