"""The program that says what sharing a training costs."""

import json
import subprocess
import sys

import pytest


@pytest.mark.hardening
def test_it_tells_cpu_time_and_bytes(tmp_path):
    result = tmp_path / "shared.json"
    small = ("--ratings", "50000", "--factors", "8", "--workers", "2", "--rounds", "1")
    subprocess.run(
        [sys.executable, "-m", "benchmarks.shared", *small, "--json", str(result)], check=True
    )
    records = json.loads(result.read_text())["results"]
    kinds = [(record["rotations"], record["workers"]) for record in records]
    assert kinds == [(0, 0), (0, 2), (2, 0), (2, 2)] * 2
    for record in records:
        assert record["cpu"] > 0
        if record["workers"]:
            assert record["table"] < record["moved"] <= record["sent"]
    for record in records[3::4]:
        assert round(record["moved"] / record["table"]) == 3
        assert record["sent"] < 1.3 * record["moved"]
    assert all(30 < record["moved"] / record["table"] < 36 for record in records[1::4])
