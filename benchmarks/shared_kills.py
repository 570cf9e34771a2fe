"""Shared trainings that lose a process: ``python -m benchmarks.shared_kills --kills 20``.

``mascot train`` by one to four processes, of which one gets SIGKILL: at a random moment, or, every
other time, when parts of a checkpoint are there that its file does not name yet. Then again with
``--resume`` by another number of processes, until a training is through. After each kill the
checkpoint is read, parts included; after each training its model file is compared with that of one
process in one go. Exit status 1 says that a process hung, that one ended well without the others,
or that all ended without a kill; that a file was corrupt, that bytes differed or that something was
left behind.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from tqdm import tqdm

from benchmarks.harness.processes import free_port
from benchmarks.harness.program import make_parser, write_result
from mascot_jax.errors import MascotError
from mascot_jax.training.checkpoint import load_checkpoint
from mascot_jax.training.checkpoint_parts import folder_of
from pipeline.common.hardware import describe_hardware

USERS, ITEMS, RATINGS = 1000, 400, 40_000
EPOCHS: Final = 40
SETTINGS: Final = (
    *("--method", "mascot-int8", "--warmup", "2", "--period", "3", "--sample-ratio", "1"),
    *("--factors", "32", "--epochs", str(EPOCHS), "--rotations", "2", "--threads", "1"),
    *("--validation", "0.1", "--checkpoint-every", "1"),
)
MOST_PROCESSES: Final = 4
STUCK: Final = 120
"""Seconds in which the others must end: they wait for a minute for one that does not start."""
MOMENT: Final = 0.0005
"""Seconds between two looks at a folder."""
WHOLE: Final = 1200
"""Seconds in which a training must end that nobody kills."""


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    args = parser.parse_args()
    found = {"trainings": 0, "kills": 0, "kills_between_parts_and_file": 0, "resumes": 0}
    found |= {"wrong_ends": 0, "corrupt_files": 0, "different_models": 0, "leftovers": 0}
    seconds: list[float] = []
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as name, tqdm(total=args.kills, disable=None) as bar:
        folder = Path(name)
        _write_ratings(folder / "ratings.csv")
        whole = _start(1, folder / "ratings.csv", folder / "whole")
        _end_all(whole, WHOLE)
        expected = (folder / "whole").read_bytes()
        while found["kills"] < args.kills:
            place = folder / str(found["trainings"])
            place.mkdir()
            seconds += _until_through(args.kills, folder / "ratings.csv", place, rng, found, bar)
            found["trainings"] += 1
            found["different_models"] += (place / "model").read_bytes() != expected
            found["leftovers"] += len(list(place.iterdir())) - 1
    print(", ".join(f"{value} {name.replace('_', ' ')}" for name, value in found.items()))
    print(f"the others ended {max(seconds, default=0.0):.1f} s after a kill at the latest")
    result = {"ratings": RATINGS, "hardware": describe_hardware(), **found, "seconds": seconds}
    write_result(args.json, result)
    wrong = ("wrong_ends", "corrupt_files", "different_models", "leftovers")
    if any(found[name] for name in wrong):
        raise SystemExit(1)


def _until_through(
    kills: int,
    ratings: Path,
    folder: Path,
    rng: random.Random,
    found: dict[str, int],
    bar: tqdm[Any],
) -> list[float]:
    """Train until it is through; return how long the others took to end after each kill."""
    count, model = 0, folder / "model"
    seconds: list[float] = []
    checkpoint = folder / "model.checkpoint"
    while True:
        count = rng.choice([n for n in range(1, MOST_PROCESSES + 1) if n != count])
        found["resumes"] += checkpoint.exists()
        processes = _start(count, ratings, model)
        killed = found["kills"] < kills
        if killed:
            _wait_at_random(processes[0], rng)
            if found["kills"] % 2 and count > 1:
                _wait_for_parts(processes[0], checkpoint, rng.randint(1, count))
            rng.choice(processes).kill()
        begun = time.monotonic()
        if not killed:
            _end_all(processes, WHOLE)
            return seconds
        codes = [_end_of(process, STUCK) for process in processes]
        if codes == [0] * count:
            return seconds
        found["wrong_ends"] += any(code in (0, None) for code in codes)
        seconds.append(time.monotonic() - begun)
        found["kills"] += 1
        bar.update()
        found["corrupt_files"] += not _is_whole(checkpoint)
        found["kills_between_parts_and_file"] += _has_newer_parts(checkpoint)


def _wait_at_random(first: subprocess.Popen[str], rng: random.Random) -> None:
    """Wait for some epochs of a process, or none, and for a part of the next one."""
    assert first.stdout is not None
    took, begun = 1.0, time.monotonic()
    for _ in range(rng.randint(0, EPOCHS // 4)):
        first.stdout.readline()
        took, begun = time.monotonic() - begun, time.monotonic()
    time.sleep(rng.uniform(0, took))


def _wait_for_parts(first: subprocess.Popen[str], checkpoint: Path, count: int) -> None:
    """Wait until so many new parts are there, or the training is through."""
    before = _parts(checkpoint)
    while first.poll() is None and len(_parts(checkpoint) - before) < count:
        time.sleep(MOMENT)


def _parts(checkpoint: Path) -> set[str]:
    """Return the names of all parts that are there, of whichever epoch."""
    with suppress(FileNotFoundError):
        return {part.name for part in folder_of(checkpoint).iterdir() if part.name[0] != "."}
    return set()


def _has_newer_parts(checkpoint: Path) -> bool:
    """Return whether there are parts that are newer than the file, which does not name them."""
    since = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    found = [(folder_of(checkpoint) / name).stat() for name in _parts(checkpoint)]
    return any(part.st_size and part.st_mtime_ns > since for part in found)


def _is_whole(checkpoint: Path) -> bool:
    try:
        if checkpoint.exists():
            load_checkpoint(checkpoint)
    except MascotError as error:
        sys.stderr.write(f"{error}\n")
        return False
    return True


def _end_all(processes: list[subprocess.Popen[str]], seconds: float) -> None:
    """Wait for processes that nobody killed; raise SystemExit if one fails or hangs."""
    codes = [_end_of(process, seconds) for process in processes]
    if any(codes) or None in codes:
        raise SystemExit(f"a training that nobody killed ended with {codes}: None hung")


def _end_of(process: subprocess.Popen[str], seconds: float) -> int | None:
    """Return a process's exit code; None if it had to be ended after so many seconds."""
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    return process.returncode


def _start(count: int, ratings: Path, model: Path) -> list[subprocess.Popen[str]]:
    """Start so many processes of one training."""
    argv = [sys.executable, "-m", "mascot_jax", "train", str(ratings), "-o", str(model)]
    argv += [*SETTINGS, "--json", "--resume"]
    if count > 1:
        argv += ["--coordinator", f"127.0.0.1:{free_port()}", "--processes", str(count)]
    return [
        subprocess.Popen(
            [*argv, *(["--rank", str(rank)] if count > 1 else [])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


def _write_ratings(path: Path) -> None:
    """Write the ratings of a planted truth of rank four, with noise."""
    rng = np.random.default_rng(0)
    users, items = ((n * rng.random(RATINGS) ** 2).astype(np.int64) for n in (USERS, ITEMS))
    p, q = rng.uniform(0, 1.1, (2, USERS, 4))
    values = (p[users] * q[items]).sum(axis=1) + rng.normal(0, 0.5, RATINGS)
    pl.DataFrame({"user": users, "item": items, "rating": values}).write_csv(path)


if __name__ == "__main__":
    main()
