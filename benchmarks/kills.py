"""Trainings that are killed and started again: ``python -m benchmarks.kills --kills 200``.

Each training runs deterministically in a process of its own, which gets SIGKILL at a random moment,
again and again, until one is through. After each kill the files it left are read; after each
training its model file is compared with that of one in one go. Exit status 1 says that a file was
corrupt, that bytes differed or that something was left behind.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from benchmarks.harness.problems import groupings
from benchmarks.harness.program import make_parser, write_result
from mascot_jax.base.tensor_file import read_tensors
from mascot_jax.engine.kernels import Execution
from mascot_jax.errors import MascotError
from mascot_jax.mf.model_file import load_model, save_model
from mascot_jax.mf.train import train_model
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.training.checkpoint import FORMAT, Checkpoints
from mascot_jax.training.fingerprint import fingerprint
from mascot_jax.training.problem import Problem, make_problem, prepare
from pipeline.common.hardware import describe_hardware

USERS, ITEMS, RATINGS, GROUPS = 1000, 400, 40_000, 20
COMMON = {"factors": 32, "epochs": 40, "deterministic": True}
MEASURED = {"sample_ratio": 1.0, "warmup": 2, "period": 3}
SWITCHING = {"method": "mascot", "threshold": 1.2, **MEASURED}
OVERFITTING = {"learning_rate": 0.02, "decay": 0.0, "user_reg": 0.0, "item_reg": 0.0}
STOPPING = {"biases": True, "validation": 0.1, "patience": 12}
VARIANTS: dict[str, dict[str, Any]] = {
    "mascot": SWITCHING,
    "mascot-int8": {"method": "mascot-int8", **MEASURED},
    "fp16, stochastic, runs": {"method": "fp16", "rounding": "stochastic", "order": "runs"},
    "mascot, biases, validation, patience": SWITCHING | OVERFITTING | STOPPING,
}
EARLY = 0.25
"""Share of the kills on the way to an epoch; a training's start takes about as long as its rest."""
CONTEXT = multiprocessing.get_context("forkserver")
# A child then starts in no time.
CONTEXT.set_forkserver_preload(["mascot_jax.mf.train"])


class Row(NamedTuple):
    """What became of one variant's trainings."""

    variant: str
    trainings: int
    """That came to their end."""
    kills: int
    resumes: int
    """Starts that found a checkpoint."""
    corrupt_files: int
    different_models: int
    leftovers: int
    """Files beside the model when a training was through."""


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--kills", type=int, default=200, help="in all")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    wanted = np.diff(np.arange(len(VARIANTS) + 1) * options.kills // len(VARIANTS)).tolist()
    seeds = np.random.SeedSequence(options.seed).spawn(len(VARIANTS))
    bar = tqdm(total=options.kills, desc="kills", disable=None)
    with bar, ThreadPoolExecutor(2) as pool:
        rows = list(pool.map(partial(_torment, bar=bar), VARIANTS, wanted, seeds))
    for row in rows:
        figures = (f"{value} {name.replace('_', ' ')}" for name, value in row._asdict().items())
        sys.stdout.write(f"{row.variant}: {', '.join(list(figures)[1:])}\n")
    result = {
        "ratings": RATINGS,
        "hardware": describe_hardware(jax.local_devices(backend="cpu")[0]),
        "variants": [row._asdict() for row in rows],
    }
    write_result(options.json, result)
    if any(row.corrupt_files or row.different_models or row.leftovers for row in rows):
        raise SystemExit(1)


def _torment(variant: str, kills: int, seed: np.random.SeedSequence, *, bar: tqdm[Any]) -> Row:
    """Train one variant until it has been killed so many times and come to its end."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as name:
        whole = Path(name) / "whole"
        whole.mkdir()
        moments = _in_one_go(variant, whole)
        expected = (whole / "model").read_bytes()
        row = Row(variant, 0, 0, 0, 0, 0, 0)
        while row.kills < kills:
            folder = Path(name) / str(row.trainings)
            folder.mkdir()
            row = _until_through(variant, folder, kills, moments, rng, row, bar)
            different = (folder / "model").read_bytes() != expected
            row = row._replace(
                trainings=row.trainings + 1,
                different_models=row.different_models + different,
                leftovers=row.leftovers + len(list(folder.iterdir())) - 1,
            )
    return row


class Moments(NamedTuple):
    """Seconds that a training takes, everything being compiled."""

    start: float
    """From its ratings to the end of the first epoch."""
    rest: float


def _in_one_go(variant: str, folder: Path) -> Moments:
    """Train without a kill, twice; return the times of the second one."""
    for _ in range(2):
        process, said = _start(variant, folder)
        times = []
        for word in ("begun", "trained"):
            _wait_for(word, said)
            times.append(time.perf_counter())
        process.join()
        times.append(time.perf_counter())
        if process.exitcode:
            raise SystemExit(f"{variant}: a training that nobody killed failed")
    return Moments(*np.diff(times).tolist())


def _until_through(
    variant: str,
    folder: Path,
    kills: int,
    moments: Moments,
    rng: np.random.Generator,
    row: Row,
    bar: tqdm[Any],
) -> Row:
    """Start a training as often as it takes, killing it as long as kills are left.

    One time in four on its way to the first epoch it makes, else from there on.
    """
    while True:
        row = row._replace(resumes=row.resumes + (folder / "checkpoint").exists())
        process, said = _start(variant, folder)
        early = rng.random() < EARLY
        _wait_for("begun" if early else "trained", said)
        delay = rng.uniform(0, moments.start if early else moments.rest / 2)
        process.join(delay if row.kills < kills else None)
        if process.exitcode is None:
            process.kill()
            process.join()
        if process.exitcode == 0:
            return row
        if process.exitcode != -signal.SIGKILL:
            raise SystemExit(f"{variant}: a training failed without being killed")
        corrupt = row.corrupt_files + _corrupt_files(folder)
        row = row._replace(kills=row.kills + 1, corrupt_files=corrupt)
        bar.update()


def _start(variant: str, folder: Path) -> tuple[ForkServerProcess, Connection]:
    said, say = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_train, args=(variant, folder, say))
    process.start()
    say.close()  # the other end is then the only one, so that its death is noticed
    return process, said


def _wait_for(word: str, said: Connection) -> None:
    """Wait until the process has said it, or is gone."""
    with suppress(EOFError):
        while said.recv() != word:
            pass


def _corrupt_files(folder: Path) -> int:
    """Count files that are there and cannot be read, of those that should be whole."""
    found = 0
    for name in ("checkpoint", "model"):
        path = folder / name
        try:
            if path.exists():
                load_model(path) if name == "model" else read_tensors(path, FORMAT)
        except MascotError as error:
            sys.stderr.write(f"{error}\n")
            found += 1
    return found


def _train(variant: str, folder: Path, say: Connection) -> None:
    """Train from the checkpoint in the folder, if there is one, to the model."""
    _keep_compiled(folder.parent / "compiled", write=folder.name == "whole")
    plan = validate(TrainSettings, {**COMMON, **VARIANTS[variant]}).plan()
    execution = Execution(threads=1)
    prepared = prepare(_problem(), plan, execution)
    say.send("begun")
    checkpoints = Checkpoints(folder / "checkpoint", 1, fingerprint(prepared))
    model = train_model(
        prepared,
        execution,
        lambda *_: say.send("trained"),
        start=checkpoints.load(),
        checkpoints=checkpoints,
    )
    save_model(model, folder / "model")
    checkpoints.remove()


def _problem() -> Problem:
    """Return the ratings of a planted truth of rank four, with noise."""
    rng = np.random.default_rng(0)
    users, items = ((n * rng.random(RATINGS) ** 2).astype(np.uint32) for n in (USERS, ITEMS))
    p, q = rng.uniform(0, 1.1, (2, USERS, 4))
    values = (p[users] * q[items]).sum(axis=1) + rng.normal(0, 0.5, RATINGS)
    ratings = users, items, values.astype(np.float32)
    return make_problem(ratings, *groupings(ratings, USERS, ITEMS, GROUPS), low=1, high=5)


def _keep_compiled(folder: Path, *, write: bool) -> None:
    """Compile a variant once for all its processes; those that are killed only read."""
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0 if write else 1e9)


if __name__ == "__main__":
    main()
