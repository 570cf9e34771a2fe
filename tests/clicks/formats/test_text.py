"""Rows of text: what is read, and that a malformed line is named."""

import polars as pl
import pytest

from mascot_jax.clicks.formats import text
from mascot_jax.errors import DataError
from tests.support.click_files import criteo_fields, criteo_lines, read


@pytest.fixture
def written(tmp_path):
    def write(data, name="rows.txt"):
        path = tmp_path / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    return write


def test_criteo_rows_are_read_as_they_are(written):
    schema, frame = read(written(criteo_lines(50)), "criteo")
    assert schema.dense == tuple(f"I{n}" for n in range(1, 14))
    assert schema.categories == tuple(f"C{n}" for n in range(1, 27))
    assert frame.schema["label"] == pl.UInt8
    for row, found in enumerate(frame.iter_rows()):
        label, *fields = criteo_fields(row)
        numbers = [None if text == "" else float(text) for text in fields[:13]]
        assert found == (int(label), *numbers, *[text or None for text in fields[13:]])


@pytest.mark.parametrize("end", ["\r\n", "\n"], ids=["CRLF", "LF"])
def test_line_ends_and_a_last_line_without_one(written, end):
    lines = criteo_lines(3).decode().replace("\n", end).removesuffix(end)
    assert read(written(lines), "criteo")[1].height == 3


def changed(place, text):
    fields = criteo_fields(1)
    fields[place] = text
    return fields


BAD = {
    "short": (criteo_fields(1)[:-1], "39 fields where 40 are expected, separated by tabs"),
    "long": ([*criteo_fields(1), "x"], "41 fields where 40 are expected"),
    "blank": ([""], "the line is blank"),
    "label 2": (changed(0, "2"), "the label '2' is not 0 or 1"),
    "label -1": (changed(0, "-1"), "the label '-1' is not 0 or 1"),
    "no label": (changed(0, ""), "the label '' is not 0 or 1"),
    "low": (changed(2, "-4"), "I2: the count -4 is below -3"),
    "fraction": (changed(13, "1.5"), "I13: the count '1.5' is no whole number"),
    "odd digits": (changed(1, "\u0661\u0662"), "I1: the count '\u0661\u0662' is no whole number"),
    "underscore": (changed(1, "1_0"), "I1: the count '1_0' is no whole number"),
    "huge": (changed(1, "1" + "0" * 18), "I1: the count '1000000000000000000' is no whole number"),
    "no hash": (changed(14, "68fd1g64"), "C1: '68fd1g64' is not an id of at most eight hex"),
    "long hash": (changed(39, "68fd1e640"), "C26: '68fd1e640' is not an id of at most eight"),
    "latin": (b"\xff", "this is not UTF-8 text"),
}


@pytest.mark.parametrize("before", [1, 3])
@pytest.mark.parametrize(("fields", "problem"), BAD.values(), ids=BAD)
def test_a_malformed_line_is_named(written, fields, problem, before):
    bad = fields if isinstance(fields, bytes) else "\t".join(fields).encode()
    path = written(criteo_lines(before) + bad + b"\n" + criteo_lines(2))
    with pytest.raises(DataError) as caught:
        read(path, "criteo")
    assert f"{path}, line {before + 1}: " in str(caught.value)
    assert problem in str(caught.value)


def test_a_malformed_line_is_named_behind_the_first_piece(written, monkeypatch):
    monkeypatch.setattr(text, "PIECE_BYTES", 500)
    path = written(criteo_lines(30) + b"7\n" + criteo_lines(2))
    with pytest.raises(DataError, match=r"line 31: 1 fields where 40 are expected"):
        read(path, "criteo")


def test_pieces_make_the_rows_of_the_whole(written, monkeypatch):
    path = written(criteo_lines(60))
    whole = read(path, "criteo")[1]
    monkeypatch.setattr(text, "PIECE_BYTES", 700)
    assert read(path, "criteo")[1].equals(whole)


def test_rows_without_labels_are_read_to_predict_for_only(written):
    rows = criteo_lines(4).decode().splitlines()
    path = written("".join(row.partition("\t")[2] + "\n" for row in rows))
    _, frame = read(path, "criteo", labelled=None)
    assert "label" not in frame.columns
    assert frame.height == 4
    with pytest.raises(DataError, match="line 1: 39 fields where 40 are expected: label, I1 to"):
        read(path, "criteo")


AVAZU = (
    "id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,app_category,"
    "device_id,device_ip,device_model,device_type,device_conn_type,C14,C15,C16,C17,C18,C19,C20,C21"
)


def avazu(*hours):
    rows = [f"1,{n % 2},{hour},1005,0" + ",a" * 19 for n, hour in enumerate(hours)]
    return "\n".join([AVAZU, *rows]) + "\n"


def test_avazus_time_becomes_hour_and_weekday(written):
    schema, frame = read(written(avazu("14102100", "14102623")), "avazu")
    assert (schema.categories[0], schema.categories[-1]) == ("hour", "weekday")
    assert "id" not in schema.categories
    assert frame["category0"].to_list() == ["00", "23"]
    assert frame[f"category{len(schema.categories) - 1}"].to_list() == ["2", "7"]


@pytest.mark.parametrize("hour", ["14102124", "14132100", "1410210", "2014102100"])
def test_a_time_that_is_none_is_named(written, hour):
    with pytest.raises(DataError, match=rf"line 3: hour: '{hour}' is not a time such as"):
        read(written(avazu("14102100", hour)), "avazu")


TABLE = 'clicked,age,site,ad\n1,30,"a, b",x\n0,,,y\n1,41.5,c,x\n'
NAMED = {"label": "clicked", "dense": ["age"]}


def test_a_table_with_a_header_and_quotes(written):
    schema, frame = read(written(TABLE), "file", **NAMED)
    assert (schema.dense, schema.categories) == (("age",), ("site", "ad"))
    assert frame.rows() == [(1, 30.0, "a, b", "x"), (0, None, None, "y"), (1, 41.5, "c", "x")]


def test_quotes_do_not_hide_a_short_line(written):
    path = written('clicked,age,site,ad\n1,30,"a, b",x\n0,1,c\n')
    with pytest.raises(DataError, match=r"line 3: 3 fields where 4 are expected"):
        read(path, "file", **NAMED)


def test_empty_quoted_fields_at_the_end_are_missing(written):
    path = written('clicked,age,site,ad\n1,30,"a, b",\n0,1,c,""\n')
    assert read(path, "file", **NAMED)[1]["category1"].to_list() == [None, None]


@pytest.mark.parametrize("header", ["", "click\ta\tb\tc\n"], ids=["none", "header"])
def test_columns_by_position(written, header):
    path = written(f"{header}1\t5\tx\ty\n0\t6\tx\tz\n")
    places = {"label": "0", "dense": ["1"], "categories": ["2..3"]}
    schema, frame = read(path, "file", **places)
    assert schema.categories == ("2", "3")
    assert frame.rows() == [(1, 5.0, "x", "y"), (0, 6.0, "x", "z")]


def test_labels_from_a_value_on(written):
    path = written("user,item,stars\n1,2,3.5\n1,3,4\n")
    _, frame = read(path, "file", label="stars", positive=4.0)
    assert frame["label"].to_list() == [0, 1]
    path = written("user,item,stars\n1,2,3.5\n1,3,many\n")
    with pytest.raises(DataError, match=r"line 3: the label 'many' is not a number"):
        read(path, "file", label="stars", positive=4.0)


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({}, r"column 'label' \(data.columns.label\) is not there"),
        ({"label": "clicked", "dense": ["age..none"]}, r"column 'none' \(data.columns.dense\)"),
        ({"label": "clicked", "dense": ["site..age"]}, "'site..age' is no range"),
        ({"label": "clicked", "dense": ["age"], "categories": ["age"]}, "wanted twice"),
        ({"label": "clicked", "dense": ["age", "0..1"]}, "a column is wanted twice"),
        ({"label": "clicked", "dense": ["age", "age"]}, "'age' is wanted twice"),
        ({"label": "clicked", "categories": []}, "nothing to predict a click from"),
        ({"label": "clicked", "separator": "::"}, "must be one character other than a blank"),
    ],
)
def test_columns_that_are_not_there(written, columns, problem):
    with pytest.raises(DataError, match=problem):
        read(written(TABLE), "file", **columns)


@pytest.mark.parametrize("text", ["nan", "inf", "1e39", "12a", "\u0663"])
def test_numbers_of_a_table(written, text):
    path = written(f"clicked,age,site\n1,2,a\n0,{text},b\n")
    with pytest.raises(DataError, match=rf"line 3: age: the number '{text}' is"):
        read(path, "file", **NAMED)


def test_files_without_rows(written):
    with pytest.raises(DataError, match="the file is empty"):
        read(written(b""), "criteo")
    with pytest.raises(DataError, match="only a header line, no rows"):
        read(written("clicked,age\n"), "file", **NAMED)
