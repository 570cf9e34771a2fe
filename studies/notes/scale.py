"""Time and peak memory of each stage on a large CSV: ``python -m studies.notes.scale --help``.

Exit status 1 says that a target was missed: for the shape ml-25m 90 s and 4 GiB from the CSV to the
groups, for every shape a bound on the memory of training.

Writes a generated CSV of the wanted shape into a temporary folder and runs the stages there, each
in a process of its own, as DVC does.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.harness.program import make_parser, write_result
from benchmarks.harness.targets import Target, exit_if_missed
from mascot_jax.data.synthetic.generator import SHAPES, generate
from mascot_jax.settings import DataSettings, validate
from pipeline.common.hardware import describe_hardware

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20
PREPARATION = ("download", "split", "regroup")
MOST = {"ml-25m": (90.0, 4096.0)}
"""Seconds and MiB from the CSV to the groups, by shape."""


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="ml-25m")
    parser.add_argument("--factors", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = _run(Path(folder), options.shape, options.factors, options.epochs)
    for row in rows:
        sys.stdout.write(f"{row['stage']:24}{row['seconds']:8.1f} s{row['peak_mib']:8.0f} MiB\n")
    reports = [t.report() for t in _targets(rows, options.shape, options.factors)]
    asked = {name: value for name, value in vars(options).items() if name != "json"}
    write_result(options.json, asked | {"hardware": describe_hardware(), "stages": rows})
    exit_if_missed(reports)


def _targets(rows: list[dict[str, Any]], shape: str, factors: int) -> list[Target]:
    preparation = [row for row in rows if row["stage"].split()[0] in PREPARATION]
    training = [row for row in rows if row["stage"].split()[0] == "train"]
    size = SHAPES[shape]
    data = 12 * size.ratings + (size.users + size.items) * factors * 4
    bound = round(1.5 * data / MIB + 500)  # one and a half times ratings and factors, and 500 MiB
    seconds, mib = MOST.get(shape, (math.inf, math.inf))
    return [
        Target("preparation, total s", sum(row["seconds"] for row in preparation), seconds),
        Target("preparation, peak MiB", max(row["peak_mib"] for row in preparation), mib),
        Target("training, peak MiB", max(row["peak_mib"] for row in training), bound),
    ]


def _run(folder: Path, shape: str, factors: int, epochs: int) -> list[dict[str, Any]]:
    csv = folder / "ratings.csv"
    # In a process of its own: Linux counts a parent's memory into the peak of its children.
    writer = multiprocessing.get_context("spawn").Process(target=_write_csv, args=(csv, shape))
    writer.start()
    writer.join()
    rows = []

    def stage(name: str, *arguments: str, **train: Any) -> None:
        params = {
            "folds": [0],
            "data": {"name": "file", "source": str(csv)},
            "train": {"factors": factors, "epochs": epochs, **train},
        }
        # JSON is YAML
        (folder / "params.yaml").write_text(json.dumps(params), encoding="utf-8")
        seconds, peak = _measure(folder, f"pipeline.{name}", *arguments)
        label = " ".join([name, *train.values()])
        rows.append({"stage": label, "seconds": seconds, "peak_mib": peak / MIB})

    stage("download")
    stage("split")
    stage("regroup", "0")
    for method in ("fp32", "mascot"):
        stage("train", "0", method=method)
    stage("evaluate", "0")
    return rows


def _write_csv(path: Path, shape: str) -> None:
    generate(validate(DataSettings, {"shape": shape})).frame.write_csv(path)


def _measure(folder: Path, module: str, *arguments: str) -> tuple[float, float]:
    """Run a stage; return its seconds and its peak resident bytes."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{module} failed with status {process.returncode}")
    return time.perf_counter() - begin, usage.ru_maxrss * 1024


if __name__ == "__main__":
    main()
