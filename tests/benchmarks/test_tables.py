"""Tables of docs/ say what was recorded."""

import json
import sys

import pytest

from benchmarks import tables
from benchmarks.tables import PAGES, PLACE, RESULTS, TABLES, filled

PAGE = PAGES[0]


def test_the_pages_are_those_of_the_recorded_results():
    pages = [page.read_text(encoding="utf-8") for page in PAGES]
    assert [filled(page, RESULTS) for page in pages] == pages
    names = [name for page in pages for _, name, _ in PLACE.findall(page)]
    assert sorted(names) == sorted(TABLES)


def test_a_page_that_is_not_of_the_results_is_found(tmp_path, monkeypatch):
    recorded = RESULTS / "instructions.json"
    changed = json.loads(recorded.read_text())
    changed["rows"][0] |= {"factors": 128, "instructions": 12345.0}
    (tmp_path / recorded.name).write_text(json.dumps(changed))
    page = PAGE.read_text(encoding="utf-8")
    assert "| 12345 |" in filled(page, tmp_path)
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["tables", "--check"])
    with pytest.raises(SystemExit, match="is not of the recorded results; run python -m benchmark"):
        tables.main()
    assert PAGE.read_text(encoding="utf-8") == page


def test_what_is_not_recorded_is_said(tmp_path):
    pages = [filled(page.read_text(encoding="utf-8"), tmp_path) for page in PAGES]
    assert sum(page.count("Not recorded yet.") for page in pages) == len(TABLES)


def measured(threads, ratios):
    variants = [
        row("fp32", 1e7, gb_per_s=20.0, relative_time=1.0),
        row("stream", 2e7, gb_per_s=40.0, relative_time=0.5),
        row("fp16", 2e7, gb_per_s=20.0, relative_time=0.5),
    ]
    return {
        "shape": "netflix", "ratings": 100_480_507, "factors": 128, "threads": threads,
        "instruction_set": "avx2", "ratios": ratios, "variants": variants,
    }  # fmt: skip


def test_ratios_stand_beside_their_targets_and_rates_beside_the_stream(tmp_path):
    ratios = {"default / fp32": 0.226, "mascot / fp16": 1.01}
    made = {"tables": [measured(1, {}), measured(2, ratios)]}
    (tmp_path / "throughput.json").write_text(json.dumps(made))
    text = {name: TABLES[name](tmp_path).splitlines() for name in ("ratios", "rates", "stream")}
    assert text["ratios"][0].endswith("| netflix, 100 M, 1 thread | netflix, 100 M, 2 threads |")
    assert "| default / fp32 |  | 0.23 (0.11) |" in text["ratios"]
    assert "| mascot / fp16 |  | 1.01 (1.05) |" in text["ratios"]
    assert text["rates"][2:] == [
        "| fp32 | 10.0 | 10.0 |", "| fp16 | 20.0 | 20.0 |", "| stream | 20.0 | 20.0 |",
    ]  # fmt: skip
    assert text["stream"][-1] == "| netflix, 100 M, 2 threads | 40.0 | 0.50 | 0.50 |  |"


def row(method, rate, **others):
    return {"method": method, "updates_per_s": rate, **others}


def test_cells_are_rates_and_what_they_are_of_the_prediction(tmp_path):
    made = [
        {
            "shape": "ml-1m", "ratings": 1_000_209, "threads": 1, "instruction_set": "avx2",
            "factors": k, "variants": [row("fp32", 3e9 / k, over_predicted=over)],
        }
        for k, over in ((256, 1.25), (128, 1.0))
    ]  # fmt: skip
    (tmp_path / "throughput-factors.json").write_text(json.dumps({"tables": made}))
    counts = {"instruction_set": "avx2", "method": "fp32", "factors": 128, "instructions": 200.0}
    counts |= dict.fromkeys(
        ("bytes", "multiply_adds", "conversions", "loads", "stores", "prefetches"), 8.0
    )
    (tmp_path / "instructions.json").write_text(json.dumps({"rows": [counts]}))
    (tmp_path / "throughput.json").write_text(json.dumps({"tables": made[1:]}))
    *_, last = TABLES["factors"](tmp_path).splitlines()
    assert last == "| ml-1m, 1, avx2: fp32 | bytes, instructions | 23.4 (1.00) | 11.7 (1.25) |"
    *_, last = TABLES["instructions"](tmp_path).splitlines()
    assert last == "| fp32, avx2 | 8 | 200 | 8 | 8 | 8 | 8 | 8 | 4.7 |"  # 200 of 23.4 million


def test_lists_have_a_line_for_each_model_of_each_data_set(tmp_path):
    row = {"name": "popularity", "ndcg": 0.2044, "coverage": 0.0188, "hit_rate": 0.5}
    row |= {"seconds": 3, "cpu_seconds": 1}
    made = {"seeds": [0, 1, 2], "threads": 2, "hardware": {"processor": "P"}}
    made["tables"] = [{"data": name, "rows": [row]} for name in ("ml-1m", "ml-100k")]
    for name in ("lists", "lists-leave-one-out", "lists-leave-one-out-seeds"):
        made["leave_one_out"] = name != "lists"
        (tmp_path / f"{name}.json").write_text(json.dumps(made))
    first, *_, last = TABLES["lists"](tmp_path).splitlines()
    assert first == "P, 2 threads; means over 3 splits."
    assert last == "| ml-100k: popularity | 0.2044 | 0.0188 | 1.0 |"
    for name in ("lists-leave-one-out", "lists-leave-one-out-seeds"):
        first, *_, before, _ = TABLES[name](tmp_path).splitlines()
        assert first == "P, 2 threads; means over 3 seeds."
        assert before == "| ml-1m: popularity | 0.5000 | 0.2044 | 1.0 |"
