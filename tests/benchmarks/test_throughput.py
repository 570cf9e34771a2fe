"""The program as it runs, on few ratings, and what it makes of times."""

import json
import sys

import pytest

from benchmarks import throughput
from benchmarks.harness.variants import DEFAULT, SETTINGS, Maker, runs_per_rating
from benchmarks.harness.workload import make_workload
from benchmarks.throughput import FACTORS, HALF, STREAM, Way
from mascot_jax.engine.kernels import Execution
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.settings.defaults import with_defaults


def test_one_command_measures_shapes_factors_and_threads(tmp_path, monkeypatch, capsys):
    path = tmp_path / "result.json"
    words = f"--shapes ml-1m --ratings 3000 --rounds 1 --factors 16 {FACTORS} --threads 1 2"
    words = [*words.split(), "--variants", DEFAULT, STREAM, "--json", str(path)]
    monkeypatch.setattr(sys, "argv", ["throughput", *words])
    monkeypatch.setattr(throughput, "LONG_ENOUGH", 1)
    throughput.main()
    result = json.loads(path.read_text())
    assert [(t["factors"], t["threads"]) for t in result["tables"]] == [
        (16, 1), (16, 2), (FACTORS, 1), (FACTORS, 2),
    ]  # fmt: skip
    for table in result["tables"]:
        rows = {row["method"]: row for row in table["variants"]}
        assert list(rows) == ["fp32", DEFAULT, STREAM]
        assert rows["fp32"]["relative_time"] == 1
        default = rows[DEFAULT]
        assert default["relative_time"] == table["ratios"]["default / fp32"]
        assert (default["order"], default["deterministic"]) == ("runs", True)
        assert 2 * table["factors"] * 2 < default["rating_bytes"] - 12 < 4 * table["factors"] * 2
        if table["factors"] == FACTORS:
            assert {row["over_predicted"] for row in rows.values()} == {1}
    assert result["peak_gib"] > 0
    assert "target: at most 0.35" in capsys.readouterr().out


def test_an_unknown_variant_is_named(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["throughput", "--variants", "fp64"])
    with pytest.raises(SystemExit, match="--variants: no fp64; there are: fp32; "):
        throughput.main()


def test_a_prediction_is_of_bytes_or_instructions_whichever_is_more(monkeypatch):
    counts = {("avx2", "fp32", 64): 150.0, ("avx2", "fp32", 128): 200.0}
    monkeypatch.setattr(throughput, "read_counts", lambda: counts)

    def row(method, rating_bytes, updates_per_s):
        return {"method": method, "rating_bytes": rating_bytes, "updates_per_s": updates_per_s}

    way = Way(64, Execution(1, "avx2"))
    tables = {
        way: [row("fp32", 1036, 12.0), row(HALF, 780, 20.0)],
        way._replace(factors=FACTORS): [row("fp32", 2060, 10.0), row(HALF, 1548, 10.0)],
    }
    throughput._predict(tables)
    fp32, half = tables[way]
    assert fp32["over_predicted"] == pytest.approx((10 / 12) / (150 / 200))
    assert half["over_predicted"] == pytest.approx((10 / 20) / (780 / 1548))  # not counted


def test_half_in_fp32_is_held_against_the_weighted_mean():
    rows = [
        {"method": "fp32", "relative_time": 1.0},
        {"method": "fp16", "relative_time": 0.6},
        {"method": HALF, "relative_time": 0.9, "traffic_float16": 0.25},
    ]
    assert throughput._ratios(rows) == {
        "fp16 / fp32": 0.6,
        "half in fp32 / weighted mean": pytest.approx(1.0),
    }


def test_the_default_is_the_librarys():
    (default,) = (one for one in SETTINGS if one.name == DEFAULT)
    values = with_defaults({}) | {"recipe": "paper", "biases": False}
    library = validate(TrainSettings, values | {"deterministic": True}).plan()
    own = validate(TrainSettings, {"method": default.method, **default.values}).plan()
    assert own == library


def test_runs_are_counted_where_ratings_lie_in_runs():
    maker = Maker(make_workload("ml-1m", most=20_000), 8, Execution(1))
    assert runs_per_rating(maker.prepared("fp32").ratings) == 1
    runs = maker.prepared("fp32", order="runs").ratings
    users = runs.host()[0].tolist()
    expected = 1 + sum(one != other for one, other in zip(users[1:], users, strict=False))
    assert runs_per_rating(runs) == expected / 20_000
    assert expected < 15_000
