"""One training by turns of one worker and several, with checkpoints, for tests.

    XLA_FLAGS=--xla_force_host_platform_device_count=3 \\
        python -m tests.support.shared_checkpoints FOLDER

prints a JSON object and leaves in the folder:

* ``in_parts``: a checkpoint by three workers, with its parts, after 2 epochs;
* ``earlier``: the same after 1;
* ``moments``: what lay on the disk before and after each step of replacing the one by the other.
"""

import json
import os
import shutil
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import jax

from mascot_jax.engine.devices import computing_on
from mascot_jax.engine.kernels import Execution
from mascot_jax.settings import TrainSettings
from mascot_jax.training.checkpoint import Checkpoints, CheckpointWarning
from mascot_jax.training.checkpoint_parts import folder_of, part_names
from mascot_jax.training.fingerprint import fingerprint
from mascot_jax.training.loop import train_state
from mascot_jax.training.problem import prepare
from tests.support.shared import digest_of, problem, workers_of

SETTINGS = {
    "method": "mascot-int8", "warmup": 1, "period": 2, "sample_ratio": 0.5, "threshold": 0.01,
    "factors": 12, "epochs": 6, "deterministic": True, "rotations": 2, "biases": True,
    "validation": 0.1, "patience": 5,
}  # fmt: skip


def prepared():
    """A small training, whose groups switch and which keeps the best epoch."""
    made = problem(300, 200, 5000)
    return prepare(made, made.plan(TrainSettings(**SETTINGS), "cpu"), Execution(1))


def train(count, until, path=None, before_save=None):
    """Train by so many workers, from the checkpoint if there is one; a digest of what is left."""
    made = prepared()
    workers, checkpoints, start, records = workers_of(count), None, None, []
    if path is not None:
        checkpoints = Checkpoints(path, 1, fingerprint(made), workers=workers)
        start = checkpoints.load()
        records = [] if start is None else list(start.records)

    def on_epoch(record, _):
        records.append(record)
        if before_save is not None:
            before_save()
        return record.epoch + 1 == until

    state = train_state(
        made, Execution(1), on_epoch, start=start, checkpoints=checkpoints, workers=workers
    )
    return digest_of(state, records), checkpoints


@contextmanager
def every_step(take):
    """Call ``take`` before and after each change of the file system."""
    names = ("fsync", "replace", "unlink", "rmdir")
    before = {name: getattr(os, name) for name in names}

    def watched(name):
        def call(*args, **options):
            take()
            result = before[name](*args, **options)
            take()
            return result

        return call

    for name in names:
        setattr(os, name, watched(name))
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(os, name, function)


def copy(path, target):
    """Copy what belongs to a checkpoint, what is half written included."""
    target.mkdir()
    for name in [*path.parent.glob(f"{path.name}*"), *path.parent.glob(f".{path.name}*")]:
        if name.is_dir():
            shutil.copytree(name, target / name.name)
        else:
            shutil.copy(name, target / name.name)


def one_cannot_write(path):
    """Train an epoch whose checkpoint the second of three workers cannot write its part of."""
    made = prepared()
    taken = folder_of(path) / part_names(fingerprint(made), 3, 3)[1]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CheckpointWarning)
        _, checkpoints = train(3, 3, path, before_save=taken.mkdir)
    said = [str(w.message) for w in caught if w.category is CheckpointWarning]
    return {"said": said, "saved": checkpoints.saved, "failed": checkpoints.failure is not None}


def main(folder):
    """Train."""
    whole, _ = train(0, None)
    path = folder / "checkpoint"
    train(3, 1, path)
    copy(path, folder / "earlier")
    (folder / "moments").mkdir()

    def take():
        copy(path, folder / "moments" / f"{len(list((folder / 'moments').iterdir())):03d}")

    with every_step(take):
        train(3, 2, path)
    copy(path, folder / "in_parts")
    failure = one_cannot_write(path)
    kept = sorted(name.name for name in folder_of(path).iterdir())
    train(0, 4, path)
    left = sorted(name.name for name in path.parent.iterdir())
    end, checkpoints = train(2, None, path)
    checkpoints.remove()
    print(
        json.dumps(
            {
                "whole": whole,
                "by_turns": end,
                "failure": failure,
                "kept": kept,
                "alone": left,
                "removed": sorted(name.name for name in path.parent.iterdir()),
            }
        )
    )


if __name__ == "__main__":
    with computing_on(jax.local_devices(backend="cpu")[0]):
        main(Path(sys.argv[1]))
