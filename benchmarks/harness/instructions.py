"""Instructions of the native core, counted by running them one by one (``instructions.cc``)."""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mascot_jax.engine.cores import usable_cores
from mascot_jax.engine.ratings import Ratings
from mascot_jax.settings import TrainPlan
from mascot_jax.tables.storage import STORAGES

ROOT: Final = Path(__file__).resolve().parents[2]
RECORDED: Final = ROOT / "benchmarks/results/instructions.json"
FLAGS: Final = ("-std=c++17", "-O3", "-DNDEBUG", "-fPIC", "-ffp-contract=off")
"""As CMake has them for a release of ``ffi/core``."""
_LINE = re.compile(r"^ *([0-9a-f]+):\t(\S+)[ \t]*([^#<\n]*)", re.MULTILINE)
_ADDRESSES = 1 << 22
"""Bytes of code at most."""

Key = tuple[str, str, int]
"""Instruction set, name of a setting, factors."""


class Mix(NamedTuple):
    """Instructions that a rating takes, on average."""

    instructions: float
    multiply_adds: float
    """Of vectors, as all others here."""
    conversions: float
    loads: float
    stores: float
    prefetches: float
    """Of cache lines."""


def read_counts(path: Path = RECORDED) -> dict[Key, float]:
    """Read what ``benchmarks.instructions`` has recorded: instructions a rating."""
    if not path.is_file():
        return {}
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return {
        (row["instruction_set"], row["method"], row["factors"]): row["instructions"] for row in rows
    }


class Counter:
    """Counts the instructions of a build of ``ffi/core``, which it makes in a folder."""

    def __init__(self, folder: Path) -> None:
        library = _build(folder)
        self._mixed = classify(_output("objdump", "-d", "--no-show-raw-insn", str(library)))
        self._run = ctypes.CDLL(str(library)).count_instructions
        self._run.restype = ctypes.c_bool
        ids, numbers = np.ctypeslib.ndpointer(np.uint32), np.ctypeslib.ndpointer(np.float32)
        size = ctypes.c_int64
        self._run.argtypes = [
            *(ctypes.c_char_p, size, size, ctypes.c_int32, ctypes.c_int32, ctypes.c_bool),
            *(ids, ids, numbers, size, size, size, np.ctypeslib.ndpointer(np.uint64), size),
        ]

    def mix(
        self, instruction_set: str, plan: TrainPlan, ratings: Ratings, few: int, many: int,
        streamed: bool = False,
    ) -> Mix:  # fmt: skip
        """Return what a rating takes of an epoch by a plan, in the order that ratings lie in.

        It is the difference of the first ``many`` and the first ``few`` ratings, so that what an
        epoch takes whatever its ratings does not count.
        """
        more, less = (
            self._count(instruction_set, plan, ratings, count, streamed) for count in (many, few)
        )
        return Mix(*((self._mixed @ (more - less)) / (many - few)).tolist())

    def _count(
        self, instruction_set: str, plan: TrainPlan, ratings: Ratings, count: int, streamed: bool
    ) -> NDArray[np.float64]:
        storage = STORAGES[plan.storage]
        columns = (np.ascontiguousarray(column[:count]) for column in ratings.host())
        counts = np.zeros(_ADDRESSES, np.uint64)
        known = self._run(
            *(instruction_set.encode(), plan.factors, storage.scale_block, storage.code),
            *(plan.rounding == "stochastic", streamed, *columns, count),
            *(ratings.user_count, ratings.item_count, counts, counts.size),
        )
        if not known:
            raise SystemExit(f"this processor has no {instruction_set}")
        return counts.astype(np.float64)


def compiler() -> str:
    """Name the compiler of the counted instructions."""
    return _output(_compiler(), "--version").splitlines()[0]


def _compiler() -> str:
    return os.environ.get("CXX", "c++")


def _build(folder: Path) -> Path:
    sources = [*ROOT.glob("ffi/core/**/*.cc"), Path(__file__).with_suffix(".cc")]
    flags = (*FLAGS, "-w", "-I", str(ROOT / "ffi"))

    def compile_one(source: Path) -> str:
        made = str(folder / f"{source.parent.name}_{source.stem}.o")
        _output(_compiler(), *flags, "-c", str(source), "-o", made)
        return made

    with ThreadPoolExecutor(usable_cores()) as pool:
        objects = list(pool.map(compile_one, sources))
    library = folder / "instructions.so"
    _output(_compiler(), "-shared", *objects, "-o", str(library), "-lpthread")
    return library


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def classify(listing: str) -> NDArray[np.bool_]:
    """Return ``(fields of a Mix, addresses)``: which of them an instruction counts for."""
    marks = np.zeros((len(Mix._fields), _ADDRESSES), np.bool_)
    for address, name, operands in _LINE.findall(listing):
        marks[:, int(address, 16)] = kinds(name, operands)
    return marks


def kinds(name: str, operands: str) -> Sequence[bool]:
    """Return, for each field of a ``Mix``, whether an instruction of AT&T syntax counts for it."""
    vector = bool(re.search(r"%[xyz]mm", operands))
    operands = operands.strip()
    stores = vector and operands.endswith(")") and name.startswith(("vmov", "vcvt", "vpmov", "vex"))
    loads = vector and "(" in operands and not stores
    multiply_adds = bool(re.match(r"vfn?m(add|sub)", name))
    return (
        *(True, multiply_adds and vector, name.startswith("vcvt") and vector),
        *(loads, stores, name.startswith("prefetch")),
    )
