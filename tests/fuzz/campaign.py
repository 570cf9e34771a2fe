"""Run the inputs of a target through a process of its own, started again where one ends it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.target import Target
from tests.fuzz.worker import find_target, read_progress

CHECKOUT = Path(__file__).parents[2]
LIMIT_S = 10.0
"""An input that takes more of a core's time is a finding."""
MOST_GROWTH = 256 * 2**20
"""Bytes: a process that grows by more after its first tenth of inputs is a finding."""
LAST_WORDS = 4000
"""Characters that are kept of what a process writes before it crashes."""
MOST_CRASHES = 50
"""A target is given up after so many: each costs the start of a process."""


@dataclass
class Report:
    """What became of the inputs of a target.

    Attributes
    ----------
    inputs, accepted, refused
        How many were read; those neither accepted nor refused are findings, or known.
    known
        Crashes as the target's documentation describes.
    seconds
        Wall clock.
    growth_bytes
        The most that a process grew by after its first tenth of inputs.
    findings
        Of each: ``number``, ``kind``, ``detail``, and the ``file`` its input was written to.
    """

    target: str
    seed: int
    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    known: int = 0
    seconds: float = 0.0
    growth_bytes: int = 0
    findings: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def run(
    name: str,
    inputs: int,
    seed: int,
    keep: Path,
    *,
    module: str,
    limit_s: float = LIMIT_S,
) -> Report:
    """Fuzz one target.

    Parameters
    ----------
    name
        Of the target in ``module``.
    inputs, seed
        How many inputs, and which.
    keep
        Folder for inputs that are findings; made when there is one.
    limit_s
        Seconds that an input may take.
    """
    report, target = Report(name, seed), find_target(module, name)
    began = time.monotonic()
    crashes = 0
    with tempfile.TemporaryDirectory(prefix="mascot-fuzz-", dir=_memory()) as folder:
        while report.inputs < inputs and crashes < MOST_CRASHES:
            command = [module, name, seed, report.inputs, inputs, limit_s, folder]
            crash = _run_worker([str(word) for word in command], Path(folder))
            crashes += crash is not None
            _add(report, Path(folder), crash, target.known)
    report.seconds = round(time.monotonic() - began, 1)
    _write_inputs(report, target, keep)
    return report


def _memory() -> str | None:
    """Return a file system in memory, where there is one: inputs are written and read once."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _run_worker(arguments: list[str], folder: Path) -> str | None:
    """Return how a worker crashed, if it did."""
    (folder / "findings.jsonl").write_bytes(b"")
    # Files that are read once, by one process: more threads only cost.
    environment = {**os.environ, "POLARS_MAX_THREADS": "1", "JAX_PLATFORMS": "cpu"}
    with (folder / "stderr").open("w+b") as stderr:
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.worker", *arguments],
            cwd=CHECKOUT,
            env=environment,
            stderr=stderr,
            check=False,
        )
    if done.returncode == 0:
        return None
    if -done.returncode in (signal.SIGALRM, signal.SIGPROF):
        return "takes too long"
    if done.returncode == 1:  # the worker itself is at fault
        raise RuntimeError(
            (folder / "stderr").read_text(encoding="utf-8", errors="replace")[-4000:]
        )
    return f"the process ended with {done.returncode}"


def _add(report: Report, folder: Path, crash: str | None, known: str | None) -> None:
    progress = read_progress(folder / "progress")
    lines = (folder / "findings.jsonl").read_text(encoding="utf-8").splitlines()
    report.findings += [json.loads(line) for line in lines]
    report.accepted += progress.accepted
    report.refused += progress.refused
    report.growth_bytes = max(report.growth_bytes, progress.growth)
    report.inputs = progress.at
    if crash is not None:
        stderr = (folder / "stderr").read_text(encoding="utf-8", errors="replace")[-LAST_WORDS:]
        report.inputs += 1
        if known is not None and known in stderr:
            report.known += 1
        else:
            report.findings.append({"number": progress.at, "kind": crash, "detail": stderr})
    if progress.growth > MOST_GROWTH:
        detail = f"{progress.growth} bytes"
        report.findings.append({"number": progress.at - 1, "kind": "memory", "detail": detail})


def _write_inputs(report: Report, target: Target, keep: Path) -> None:
    if not report.findings:
        return
    keep.mkdir(parents=True, exist_ok=True)
    for finding in report.findings:
        path = keep / f"{report.target}-{report.seed}-{finding['number']}"
        path.write_bytes(target.input(report.seed, finding["number"]))
        finding["file"] = str(path)
