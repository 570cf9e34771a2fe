"""What a text file looks like, found out from its first lines."""

import pytest

from mascot_jax.data.archive import Member
from mascot_jax.data.formats.columns import PAIRS, RATINGS
from mascot_jax.data.formats.delimited import read_delimited
from mascot_jax.errors import DataError
from mascot_jax.settings import Columns

PLACED = Columns(user="0", item="1", rating="2")
ROWS = [(1, 10, 5.0), (2, 11, 3.0)]


@pytest.fixture
def read(tmp_path):
    def read(data, columns=None, keys=RATINGS, name="ratings.csv"):
        path = tmp_path / "content"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return read_delimited(Member(name, name, path, "*"), None, columns or Columns(), keys)

    return read


@pytest.mark.parametrize("separator", [",", "\t", ";", "|", "::", " ", "  ", ", ", " ; "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", "\n \n\t\n"])
def test_separators_are_found_out(read, separator, end):
    lines = [["user", "item", "rating"], ["1", "10", "5"], ["2", "11", "3"]]
    body = "\n".join(separator.join(line) for line in lines)
    assert read(body + end).rows() == ROWS
    assert read(body.partition("\n")[2] + end, PLACED).rows() == ROWS
    assert read("\ufeff" + body).rows() == ROWS


@pytest.mark.parametrize(
    "text",
    [
        "1,10,5,The Big 7|x|y\n2,11,3,A;b 8|c|d\n",
        "1;10;5,0;2,5\n2;11;3,0;4,5\n",
        "1 10 5,0 2,5\n2\t11   3,0 4\n",
        "1|10|5|2020-01-01 10:00:00\n2|11|3|2020-01-01 10:00:00\n",
        "1\t10\t5\tHello, World; or, so\n2\t11\t3\tHello, World; or, so\n",
        "  1 10 5\n2 11 3  \n",
        "1::10::5::a,b\n2::11::3::c,d\n",
    ],
)
def test_other_separators_inside_of_fields_do_not_mislead(read, text):
    assert read(text, PLACED).rows() == ROWS


@pytest.mark.parametrize("separator", [";", "|", "\t", "::", " "])
def test_a_comma_that_separates_nothing_is_a_decimal_comma(read, separator):
    lines = ["user item rating", "1 10 4,5", "2 11 -3", "3 11 1,25"]
    text = "\n".join(lines).replace(" ", separator)
    assert read(text)["rating"].to_list() == [4.5, -3.0, 1.25]
    with pytest.raises(DataError, match=r"line 3: the rating '1\.234,5' is not a number"):
        read(f"{lines[0]}\n1 10 4,5\n2 11 1.234,5".replace(" ", separator))
    with pytest.raises(DataError, match=r"commas and points, such as '3,5' and '4\.0': use one"):
        read(f"{lines[0]}\n1 10 3,5\n2 11 4.0\n3 12 5".replace(" ", separator))


def test_a_given_separator_is_taken(read):
    text = "user^item^rating\n1^10^5\n2^11^3\n"
    with pytest.raises(DataError, match=r"Set data\.columns\.separator to what stands between"):
        read(text)
    assert read(text, Columns(separator="^")).rows() == ROWS
    for word, separator in {"tab": "\t", "COMMA": ",", "pipe": "|", "blanks": "  "}.items():
        assert read(text.replace("^", separator), Columns(separator=word)).rows() == ROWS
    for wrong in ("", "ab", '"', "5", "."):
        with pytest.raises(DataError, match=r"data\.columns\.separator: .*: must be tab"):
            read(text, Columns(separator=wrong))


@pytest.mark.parametrize(
    ("columns", "keys"), [(PLACED, RATINGS), (Columns(user="0", item="item"), RATINGS)]
)
def test_positions_may_be_given_where_there_is_a_header(read, columns, keys):
    assert read("user,item,rating\n1,10,5\n2,11,3\n", columns, keys).rows() == ROWS


@pytest.mark.parametrize("first", ["1,2,x", "u,i,nan", "u,i,null", "u,i,", "7,i,stars"])
def test_a_malformed_first_line_is_no_header(read, first):
    with pytest.raises(DataError, match="line 1: the rating"):
        read(f"{first}\n1,10,5\n", PLACED)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("userId,movie_ID\nann,tea\n", [("ann", "tea")]),
        ("who,what\n1,10\n2,11\n", [(1, 10), (2, 11)]),
        ("ann,tea\nbob,mate\n", [("ann", "tea"), ("bob", "mate")]),
        ("user7,item8\n", [("user7", "item8")]),
        ("1;10\n\n", [(1, 10)]),
    ],
)
def test_a_header_of_pairs_is_told_from_a_pair(read, text, rows):
    assert read(text, PLACED, PAIRS).rows() == rows


def test_usual_names_serve_for_columns_that_nobody_chose(read):
    assert read("userId,movieId,rating\n1,10,5\n2,11,3\n").rows() == ROWS
    assert read("Rating;USER_ID;Item ID\n5;1;10\n3;2;11\n").rows() == ROWS
    with pytest.raises(DataError, match=r"column 'item' \(data\.columns\.item\) is not there"):
        read("user,itemId,movieId,rating\n1,2,3,4\n")
    with pytest.raises(DataError, match=r"column 'USER' .* is not there"):
        read("userId,item,rating\n1,2,3\n", Columns(user="USER"))


@pytest.mark.parametrize("name", ["ratings.DAT", "u.data"])
@pytest.mark.parametrize("separator", [",", "\t", "::", ";", " "])
def test_movielens_files_need_no_columns(read, name, separator):
    text = "1 10 5 978300760\n2 11 3 978300760\n".replace(" ", separator)
    assert read(text, name=name).rows() == ROWS
    named = "rating item user\n5 10 1\n3 11 2\n".replace(" ", separator)
    assert read(named, name=name).rows() == ROWS
    with pytest.raises(DataError, match=r"column 'user' .* is not there"):
        read("who what stars\n1 10 5\n".replace(" ", separator), name=name)


def test_a_missing_column_is_said_with_the_separator_and_a_remedy_that_works(read):
    text = "wer;was;sterne\n1;10;5\n2;11;3\n"
    with pytest.raises(DataError) as info:
        read(text)
    said = str(info.value)
    assert "column 'user' (data.columns.user) is not there" in said
    assert "separated by semicolons, its first line has ['wer', 'was', 'sterne']" in said
    assert "Set data.columns.user to one of these names, or to a position from 0" in said
    assert read(text, Columns(user="wer", item="was", rating="sterne")).rows() == ROWS
    assert read(text, Columns(user="0", item="1", rating="2")).rows() == ROWS


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("user,item\n1,2\n".encode("utf-16"), "UTF-16 text, not UTF-8: run `iconv -f UTF-16 "),
        ("user,item\n1,2\n".encode("utf-16-be"), "UTF-16 text, not UTF-8: run `iconv -f UTF-16BE"),
        ("user,item\n1,2\n".encode("utf-32"), "UTF-32 text"),
        ("user,item,rating\ncafé,2,3\n".encode("latin-1"), "line 2: this is not UTF-8 .*iconv"),
        (b"user,item,rating\r1,2,3\r", r"lines end in a carriage return alone: run `tr"),
        (b'{"user": 1, "item": 2}\n', "this is JSON"),
        (b"\x89HDF\r\n\x1a\n", "this is an HDF5 file"),
        (b"<!DOCTYPE html><html>", "this is a web page"),
        (b"\x00\x01\x02" * 99, "this is no text"),
        (b"\nuser,item,rating\n1,2,3\n", "line 1: the line is blank: remove it"),
        (b"sep=;\nuser;item;rating\n1;2;3\n", "line 1: it tells Excel the separator: remove it"),
        (b'user,item,rating\n1,"10,5\n2,11,3\n', "line 2: .* opens a field and never closes"),
    ],
)
def test_what_is_no_table_is_said_to_be_that(read, data, said):
    with pytest.raises(DataError, match=said):
        read(data)


def test_blank_lines_at_the_end_are_dropped_over_many_pieces(read, monkeypatch):
    monkeypatch.setattr("mascot_jax.data.formats.text.PIECE_BYTES", 1)
    assert read("user,item,rating\n1,10,5\n2,11,3" + "\n \r\n" * 20).rows() == ROWS
    with pytest.raises(DataError, match="line 3: the line is blank"):
        read("user,item,rating\n1,10,5\n\n\n2,11,3\n\n")
