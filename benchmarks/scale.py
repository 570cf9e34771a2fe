"""Time and peak memory of each stage on a large CSV: ``python -m benchmarks.scale --help``.

Writes a generated CSV of the wanted shape into a temporary folder and runs the stages there, each
in a process of its own, as DVC does.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mascot_jax.data.synthetic import SHAPES, generate
from mascot_jax.settings import DataSettings, validate
from pipeline.hardware import describe_hardware

ROOT = Path(__file__).resolve().parents[1]
MIB = 1 << 20


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="ml-25m")
    parser.add_argument("--factors", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = _run(Path(folder), options.shape, options.factors, options.epochs)
    for row in rows:
        sys.stdout.write(f"{row['stage']:24}{row['seconds']:8.1f} s{row['peak_mib']:8.0f} MiB\n")
    shape = SHAPES[options.shape]
    data = 12 * shape.ratings + (shape.users + shape.items) * options.factors * 4
    sys.stdout.write(f"1.5 (ratings + factors) + 500 MiB: {1.5 * data / MIB + 500:.0f} MiB\n")
    if options.json:
        result = vars(options) | {"hardware": describe_hardware(), "stages": rows}
        options.json.write_text(json.dumps(result, indent=2, default=str) + "\n", encoding="utf-8")


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
