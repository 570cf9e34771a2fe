"""The program that says what memory processes take that share a training."""

import json
import subprocess
import sys

import pytest


@pytest.mark.hardening
def test_it_tells_what_each_process_takes_and_compares_the_models(tmp_path):
    result = tmp_path / "memory.json"
    small = ("--ratings", "50000", "--factors", "8", "--processes", "1", "2", "--limit", "4")
    command = [sys.executable, "-m", "benchmarks.shared_memory", *small]
    done = subprocess.run(
        [*command, "--folder", str(tmp_path), "--json", str(result)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.stdout.endswith("all models have the same bytes\n")
    runs = json.loads(result.read_text())["runs"]
    kinds = [(run["way"], run["processes"]) for run in runs]
    assert kinds == [("memory", 1), ("memory", 2), ("scratch", 1), ("scratch", 2)]
    for run in runs:
        for part in ("reading", "preparing", "training", "model"):
            assert 0 < run[part] <= run["resident"] < 4e9
    assert list(tmp_path.iterdir()) == [result]
