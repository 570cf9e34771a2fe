"""The time to an NDCG is that of whole trainings, in turn."""

import json
import sys

import pytest

from benchmarks import time_to_ndcg
from benchmarks.harness.lists import interactions
from benchmarks.tables import TABLES
from benchmarks.time_to_ndcg import BEST_OF_PEER, SOON
from tests.support.ratings import small_frame


def runs(*figures):
    return [{"seconds": s, "cpu_seconds": 2 * s, "ndcg": n} for s, n in figures]


def test_times_are_medians_over_rounds_then_splits():
    splits = [
        runs((9.0, 0.1), (1.0, 0.1), (2.0, 0.1)),
        runs((5.0, 0.2), (5.0, 0.2), (99.0, 0.2)),
        runs((3.0, 0.6), (3.0, 0.6), (0.0, 0.6)),
    ]
    row = time_to_ndcg._row(SOON, interactions(epochs=4), splits)
    assert (row["seconds"], row["cpu_seconds"]) == (3.0, 6.0)
    assert row["ndcg"] == pytest.approx(0.3)
    assert row["splits"] == pytest.approx([0.1, 0.2, 0.6])


def test_a_target_is_of_the_lowest_split_and_of_the_peer():
    rows = {
        SOON: {"splits": [0.41, 0.39], "seconds": 1.0, "cpu_seconds": 3.0},
        BEST_OF_PEER: {"splits": [0.43, 0.43], "seconds": 4.0, "cpu_seconds": 5.0},
    }
    lowest, time, of_cpu = time_to_ndcg._targets(rows)
    assert (lowest.value, lowest.met) == (0.39, False)
    assert (time.value, time.met) == (0.25, True)
    assert (of_cpu.value, of_cpu.met) == (0.6, False)
    assert len(time_to_ndcg._targets({SOON: rows[SOON]})) == 1


@pytest.mark.filterwarnings("ignore::mascot_jax.errors.BaselineWarning")
def test_figures_are_written_and_shown_in_a_table(tmp_path, monkeypatch, capsys):
    data, made = tmp_path / "small.csv", tmp_path / "time-to-ndcg-ml-1m.json"
    small_frame()[["user", "item", "rating"]].to_csv(data, index=False)
    way = interactions(factors=2, epochs=1, learning_rate=0.12)
    monkeypatch.setattr(time_to_ndcg, "WAYS", {SOON: way})
    monkeypatch.setattr(time_to_ndcg, "GOAL", 0.0)
    options = ["--data", data, "--rounds", "1", "--seeds", "0", "1", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", ["time_to_ndcg", *map(str, options), "--json", str(made)])
    time_to_ndcg.main()
    result = json.loads(made.read_text())
    (row,) = result["rows"]
    assert len(row["splits"]) == 2
    assert row["ndcg"] > 0
    assert row["seconds"] > 0
    assert f"{row['ndcg']:.4f}" in capsys.readouterr().out
    line = TABLES["time-to-ndcg"](tmp_path).splitlines()[-1]
    assert line.startswith(
        f"| {SOON} | factors=2, epochs=1, learning_rate=0.12 | {row['ndcg']:.4f}"
    )
    monkeypatch.setattr(time_to_ndcg, "GOAL", 1.0)
    with pytest.raises(SystemExit, match="1"):
        time_to_ndcg.main()
