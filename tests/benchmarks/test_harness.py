import json
import math
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax.numpy as jnp

from benchmarks.harness.program import make_parser, write_result
from benchmarks.harness.timing import Timings, Variant, time_rounds

CHECKOUT = Path(__file__).parents[2]
RESULTS, STUDIES = CHECKOUT / "benchmarks" / "results", CHECKOUT / "studies"


def test_variants_run_in_turn_each_from_its_own_last_state():
    ran = []

    def step(state):
        ran.append((state["name"], int(state["number"])))
        return state | {"number": state["number"] + 1}

    def first(name):
        return {"name": name, "number": jnp.int32(0)}

    variants = [Variant(name, partial(first, name), step) for name in "ab"]
    timings = time_rounds(variants, 2, in_a_row=2)
    one_round = ["a", "a", "b", "b"]
    assert [name for name, _ in ran] == 3 * one_round
    assert [number for name, number in ran if name == "a"] == list(range(6))
    assert {name: len(seconds) for name, seconds in timings.seconds.items()} == {"a": 2, "b": 2}


def test_variants_of_one_lineage_hand_their_state_on():
    began, seen = [], []

    def begin():
        began.append(1)
        return jnp.int32(0)

    def step(state):
        seen.append(int(state))
        return state + 1

    variants = [Variant(name, begin, step, "one") for name in "ab"]
    variants.append(Variant("c", begin, step))
    time_rounds(variants, 1)
    assert seen == [0, 1, 0, 2, 3, 1]
    assert len(began) == 2


def test_figures_are_medians_and_their_ratios():
    timings = Timings({"fp32": [2.0, 9.0, 1.0], "fp16": [1.0, 0.5, 1.5]})
    assert timings.median("fp32") == 2.0
    assert timings.ratio("fp16", "fp32") == 0.5


def test_a_result_has_a_line_for_each_record(tmp_path):
    result = {
        "shape": "ml-1m",
        "folds": (0, 1),
        "hardware": {"cores": 2},
        "settings": {"fp32": {"order": "runs"}, "fp16": {"order": "runs"}},
        "ways": [{"way": "stored", "rmse": {1: 0.1 + 0.2, 4: None}}],
        "tables": [{"factors": 64, "variants": [{"name": "fp32"}, {"name": "fp16"}]}],
        "left_out": [],
    }
    write_result(tmp_path / "result.json", result)
    text = (tmp_path / "result.json").read_text()
    assert json.loads(text) == json.loads(json.dumps(result))
    assert (
        text
        == """{
 "shape": "ml-1m",
 "folds": [0, 1],
 "hardware": {"cores": 2},
 "settings": {
  "fp32": {"order": "runs"},
  "fp16": {"order": "runs"}
 },
 "ways": [
  {"way": "stored", "rmse": {"1": 0.30000000000000004, "4": null}}
 ],
 "tables": [
  {
   "factors": 64,
   "variants": [
    {"name": "fp32"},
    {"name": "fp16"}
   ]
  }
 ],
 "left_out": []
}
"""
    )


def test_what_is_no_number_is_null(tmp_path):
    write_result(tmp_path / "result.json", {"loss": [math.nan, -math.inf, 1.0]})
    assert (tmp_path / "result.json").read_text() == '{\n "loss": [null, null, 1.0]\n}\n'


def test_recorded_results_are_json():
    """NaN and Infinity are Python's own: other readers refuse the whole file."""
    paths = [*RESULTS.glob("*.json"), *STUDIES.glob("*/recorded/**/*.json")]
    assert len(paths) > 10
    found = []
    for path in paths:
        json.loads(path.read_text(), parse_constant=found.append)
        assert found == [], path


def test_a_result_is_written_only_where_that_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_result(make_parser("").parse_args([]).json, {"shape": "ml-1m"})
    assert not list(tmp_path.iterdir())


def test_the_gpu_benchmark_needs_nothing_of_the_extra_data():
    code = "import sys; sys.modules['polars'] = sys.modules['pooch'] = None"
    subprocess.run([sys.executable, "-c", f"{code}; import benchmarks.gpu.__main__"], check=True)
