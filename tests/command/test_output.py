"""Tables and JSON of whatever ids there are."""

import datetime
import json

import numpy as np

from mascot_jax.command.output import print_columns, print_json, print_table


def test_columns_are_as_wide_as_need_be(capsys):
    print_table([("a", 1, 0.5), ("bcd", 200, 12.0)], ("name", "n", "score"))
    assert capsys.readouterr().out == (
        "name    n    score\n"
        "a       1   0.5000\n"
        "bcd   200  12.0000\n"
    )  # fmt: skip


def test_a_table_without_rows_has_its_header(capsys):
    print_table([], ("user", "item"))
    assert capsys.readouterr().out == "user  item\n"


def test_ids_cannot_break_a_table(capsys):
    ids = np.array(["a\nb", "\x1b[2J", "\ud800", "é"], dtype=object)
    print_columns({"user": ids}, as_json=False)
    _, *lines = capsys.readouterr().out.splitlines()
    assert lines == [r"'a\nb'", r"'\x1b[2J'", r"'\ud800'", "é"]


def test_json_of_what_it_has_not(capsys):
    print_json({"rmse": float("nan"), "inside": [{"x": float("inf")}], "when": datetime.date.min})
    assert json.loads(capsys.readouterr().out) == {
        "rmse": None,
        "inside": [{"x": None}],
        "when": "0001-01-01",
    }
    ids = np.array([b"\xff", "\ud800", 7], dtype=object)
    print_columns({"user": ids}, as_json=True)
    rows = [json.loads(line)["user"] for line in capsys.readouterr().out.splitlines()]
    assert rows == ["\\xff", "\ud800", 7]
