"""Ids as text, for every kind of table."""

import numpy as np
import pytest

from mascot_jax.command.ids import parse_ids, warn_of_unknown
from mascot_jax.errors import DataError
from mascot_jax.ids.table import index_ids
from mascot_jax.ids.values import as_column


def table_of(*ids):
    return index_ids(as_column(np.array(ids), "user"))[0]


@pytest.mark.parametrize(
    ("ids", "texts"),
    [
        ([3, -7], ["3", "-7"]),
        ([2**63 + 1, 4], [str(2**63 + 1), "4"]),
        (["7", "007", " x"], ["7", "007", " x"]),
        ([1.5, 2.0], ["1.5", "2"]),
        ([True, False], ["true", "False"]),
        ([b"ab", b"c"], ["ab", "c"]),
        (np.array(["2026-01-05", "2025-02-01"], "M8[D]"), ["2026-01-05", "2025-02-01"]),
    ],
)
def test_text_finds_the_ids(ids, texts):
    table = table_of(*ids)
    found = table.encode(parse_ids(texts, table, "user"), "user")
    assert found.tolist() == table.encode(np.array(ids), "user").tolist()
    assert (found >= 0).all()


def test_integers_of_a_file_stay_what_they_are():
    ids = np.array([5, 6])
    assert parse_ids(ids, table_of(5), "user") is ids


def test_integers_of_a_file_are_text_where_ids_are_strings():
    table = table_of("5", "x")
    assert table.encode(parse_ids(np.array([5]), table, "user"), "user").tolist() == [0]


@pytest.mark.parametrize("text", ["007", "+7", "1_0", " 7 ", "\u0667", "7.0", ""])
def test_an_integer_is_written_one_way_only(text):
    with pytest.raises(DataError, match="cannot be an id"):
        parse_ids([text], table_of(7, 10), "user")


@pytest.mark.parametrize(
    ("ids", "text"), [([3], "three"), ([1.5], "x"), ([True], "yes"), (["2026-01-05"], None)]
)
def test_what_cannot_be_an_id_is_named(ids, text):
    if text is None:
        ids, text = np.array(ids, "M8[D]"), "soon"
    with pytest.raises(DataError, match=f"user: '{text}' cannot be an id: the model's are of kind"):
        parse_ids([text], table_of(*ids), "user")


def test_kinds_without_a_text_are_refused():
    with pytest.raises(DataError, match="of kind timedelta, which has no text"):
        parse_ids(["1"], table_of(np.timedelta64(1, "s")), "user")


def test_few_unknown_ids_are_named_and_all_counted(capsys):
    table = table_of(1, 2)
    warn_of_unknown(np.array([1, 2]), table, "users", "x")
    assert capsys.readouterr().err == ""
    warn_of_unknown(np.array([9, 1, 9, 3, 4, 5, 6, 7, 8]), table, "users", "left out")
    expected = "mascot: users not in the model: 9, 3, 4, 5, 6 and 2 more: left out\n"
    assert capsys.readouterr().err == expected
