"""LIBMF, by its own C interface: the Python package copies and leaks the ratings of each call.

LIBMF chooses its vector instructions when it is built, and PyPI has only its sources:
``CFLAGS="-O3 -DUSEAVX -mavx" pip install --no-cache-dir '.[peers]'``.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.curve import Curve
from benchmarks.harness.timing import timed
from mascot_jax.engine.ratings import Triples
from mascot_jax.training.problem import Problem

REGULARISATION: Final = 0.05
"""Tuned as ours, on a tenth of the training ratings (docs/recipes.md)."""
LEARNING_RATE: Final = 0.03
BINS: Final = 20
"""As LIBMF's own program has it."""
EPOCHS: Final = 60
"""Of a training whose best is looked for: 20 more than it needs."""
TIMED: Final = 10

_NODE = np.dtype([("user", np.int32), ("item", np.int32), ("rating", np.float32)])


class _Problem(ctypes.Structure):
    _fields_ = (
        ("users", ctypes.c_int),
        ("items", ctypes.c_int),
        ("count", ctypes.c_longlong),
        ("nodes", ctypes.c_void_p),
    )


class _Parameters(ctypes.Structure):
    _fields_ = (
        ("loss", ctypes.c_int),
        ("factors", ctypes.c_int),
        ("threads", ctypes.c_int),
        ("bins", ctypes.c_int),
        ("iterations", ctypes.c_int),
        ("user_l1", ctypes.c_float),
        ("user_l2", ctypes.c_float),
        ("item_l1", ctypes.c_float),
        ("item_l2", ctypes.c_float),
        ("learning_rate", ctypes.c_float),
        ("non_negative", ctypes.c_bool),
        ("quiet", ctypes.c_bool),
        ("copy_data", ctypes.c_bool),
    )


class Build(NamedTuple):
    """What is installed."""

    version: str
    vectors: str
    """Instructions that it was built for, as far as ``objdump`` is there to say so."""


def build() -> Build:
    """Describe the installed LIBMF."""
    if shutil.which("objdump") is None:
        vectors = "unknown: no objdump"
    else:
        command = ["objdump", "-d", str(_path())]
        code = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        vectors = "AVX" if "%ymm" in code else "none: CFLAGS had no -DUSEAVX"
    return Build(importlib.metadata.version("libmf"), vectors)


def libmf_epochs(problem: Problem, factors: int, threads: int) -> Callable[[int], None]:
    """Return what trains so many epochs from the beginning."""
    nodes = as_nodes(problem.ratings.host())

    def train(epochs: int) -> None:
        _train(problem, nodes, None, _parameters(factors, threads, epochs, quiet=True))

    return train


def train_libmf(problem: Problem, factors: int, threads: int) -> Curve:
    """Train for ``EPOCHS``; its seconds are those of epochs without scores, timed apart."""
    assert problem.test is not None
    nodes, test = as_nodes(problem.ratings.host()), as_nodes(problem.test)
    with native_output() as lines:
        _train(problem, nodes, test, _parameters(factors, threads, EPOCHS, quiet=False))
    rmses = [float(line.split()[2]) for line in lines if re.match(r"\s*\d+\s", line)]
    train = libmf_epochs(problem, factors, threads)

    def seconds(epochs: int) -> float:
        return timed(lambda: train(epochs))[0]

    epoch = statistics.median((seconds(1 + TIMED) - seconds(1)) / TIMED for _ in range(3))
    return Curve(epoch * np.arange(1.0, len(rmses) + 1), np.array(rmses))


def as_nodes(triples: Triples) -> NDArray[Any]:
    """Return ratings as LIBMF has them: int32, int32 and float32, one behind the other."""
    nodes = np.empty(len(triples[0]), _NODE)
    for name, column in zip(_NODE.names or (), triples, strict=True):
        nodes[name] = column
    return nodes


def _parameters(factors: int, threads: int, epochs: int, quiet: bool) -> _Parameters:
    l2 = REGULARISATION
    return _Parameters(
        0, factors, threads, BINS, epochs, 0, l2, 0, l2, LEARNING_RATE, False, quiet, False
    )


def _train(
    problem: Problem, nodes: NDArray[Any], test: NDArray[Any] | None, parameters: _Parameters
) -> None:
    counts = problem.ratings.user_count, problem.ratings.item_count
    problems = [
        _Problem(*counts, len(each), each.ctypes.data) if each is not None else None
        for each in (nodes, test)
    ]
    references = [ctypes.byref(each) if each else None for each in problems]
    library = _library()
    model = library.mf_train_with_validation(*references, parameters)
    if not model:
        raise RuntimeError("LIBMF has refused its parameters")
    library.mf_destroy_model(ctypes.byref(ctypes.c_void_p(model)))


@cache
def _library() -> Any:
    library = ctypes.CDLL(str(_path()))
    library.mf_train_with_validation.restype = ctypes.c_void_p
    library.mf_train_with_validation.argtypes = [ctypes.c_void_p, ctypes.c_void_p, _Parameters]
    return library


def _path() -> Path:
    files = importlib.metadata.files("libmf") or []
    return Path(next(file for file in files if file.suffix == ".so").locate())


@contextmanager
def native_output() -> Iterator[list[str]]:
    """Collect the lines that native code prints to the standard output; they are there at the end.

    Raises
    ------
    OSError
        There is no standard output.
    """
    lines: list[str] = []
    kept = os.dup(1)
    try:
        with tempfile.TemporaryFile("w+b") as file:
            os.dup2(file.fileno(), 1)
            yield lines
            os.dup2(kept, 1)
            file.seek(0)
            lines += file.read().decode().splitlines()
    finally:
        os.dup2(kept, 1)
        os.close(kept)
