"""Builds the variants with nvcc and calls them on a state's own tables.

``python -m benchmarks.gpu.native.library`` builds them for this machine's GPU, or for
``--capability 90``, and says where they are. A library for the same sources is not built again.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks.gpu.native.model import CODES, WHOLE_ROW_BITS, Pass, Shape, Side, Table
from mascot_jax.engine import kernels
from mascot_jax.engine.devices import choose_device
from mascot_jax.engine.ratings import Ratings
from mascot_jax.tables import table as tables
from mascot_jax.tables.storage import by_code

ROOT = Path(__file__).resolve().parents[3]
SOURCES = Path(__file__).parent
FOLDER = ROOT / "build" / "gpu-native"
LEAST_CAPABILITY = 90
"""Ten times the compute capability that has reductions in bulk."""
WAYS = ("read", "reduce", "store", "bulk")
"""``Way`` of ``ways.cuh``, by code; so is the next."""
LIMITS = ("L2 reads", "L2 reductions, float32", "L2 reductions, float16", "instructions")


class NativeError(Exception):
    """The variants cannot be built, or CUDA reports an error."""


class Way(NamedTuple):
    """What is done with every rating."""

    way: str
    """Of ``WAYS``."""
    updates: bool = True
    """If not, rows are moved without arithmetic."""
    prefetch: bool = False
    blocks: int = 4
    """Thread blocks that a multiprocessor is to hold at least: 3 or 4."""

    @property
    def name(self) -> str:
        """The name that it is printed by."""
        suffix = ", prefetch" if self.prefetch else ""
        return f"{self.way}{suffix}, {self.blocks}" if self.updates else f"{self.way}, rows only"


MOVES = tuple(Way(way, updates=False) for way in WAYS)
UPDATES = tuple(
    Way(way, prefetch=prefetch, blocks=blocks)
    for way in WAYS[1:]
    for prefetch in (False, True)
    for blocks in (3, 4)
)


def capability_of(device: jax.Device) -> int:
    """Return ten times the compute capability of a GPU."""
    return int(str(device.compute_capability).replace(".", ""))


def build(capability: int) -> Path:
    """Build the library unless it is there, and return its path.

    Raises
    ------
    NativeError
        There is no nvcc, or it fails, or the GPU is too old.
    """
    if capability < LEAST_CAPABILITY:
        raise NativeError(f"the variants need compute capability 9.0; this is {capability / 10}")
    path = FOLDER / f"{_sources_hash()}-sm_{capability}.so"
    if path.exists():
        return path
    nvcc = shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")
    if nvcc is None:
        raise NativeError("the variants are built by nvcc, which is not on the PATH")
    FOLDER.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")  # others may be building it, too
    command: list[str | Path] = [
        nvcc, "-std=c++17", "-O3", f"-arch=sm_{capability}", "-shared",
        "-Xcompiler=-fPIC,-Wall,-Wextra", "-I", SOURCES, "-I", ROOT / "ffi",
        "-o", unfinished, SOURCES / "library.cu",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NativeError(f"nvcc fails:\n{done.stdout}{done.stderr}")
    unfinished.replace(path)
    return path


def _sources_hash() -> str:
    found = hashlib.sha256()
    for folder in (SOURCES, ROOT / "ffi" / "core", ROOT / "ffi" / "cuda"):
        for path in sorted(folder.rglob("*.cu*")) + sorted(folder.rglob("*.h")):
            found.update(path.read_bytes())
    return found.hexdigest()[:16]


class Library:
    """The library on one GPU. Every call waits until the device is done."""

    def __init__(self, path: Path, device: jax.Device) -> None:
        self._functions = ctypes.CDLL(str(path))
        self._functions.mascot_error.restype = ctypes.c_char_p
        with jax.default_device(device):
            self._scratch = jax.block_until_ready(jnp.zeros(4, jnp.uint32))

    def run_way(self, problem: NativePass, way: Way) -> int:
        """Visit every rating once; factors change in place. Return the thread blocks that ran."""
        grid = ctypes.c_uint32()
        self._call(
            "mascot_run_way", ctypes.byref(problem.view), _pointer(problem.rates),
            _pointer(problem.counters), _pointer(self._scratch), WAYS.index(way.way),
            way.updates, way.prefetch, way.blocks, ctypes.byref(grid),
        )  # fmt: skip
        return grid.value

    def run_limit(self, limit: str, buffer: jax.Array, turns: int) -> int:
        """Return the bytes accessed, or the instructions of warps that were issued.

        buffer: zeros, a power of two of bytes.
        """
        done = ctypes.c_int64()
        self._call(
            "mascot_run_limit", LIMITS.index(limit), _pointer(buffer), buffer.nbytes, turns,
            _pointer(self._scratch), ctypes.byref(done),
        )  # fmt: skip
        return done.value

    def _call(self, name: str, *arguments: Any) -> None:
        in_c = [ctypes.c_int64(int(a)) if isinstance(a, int) else a for a in arguments]
        error = getattr(self._functions, name)(*in_c)
        if error != 0:
            raise NativeError(f"{name}: {self._functions.mascot_error(error).decode()}")


class NativePass:
    """Ratings and tables on the GPU as the library sees them; it keeps them alive."""

    def __init__(
        self,
        ratings: Ratings,
        sides: tuple[tables.Table, tables.Table],
        rates: Sequence[float],
        seed: int = 0,
    ) -> None:
        """Take users' and items' tables, and learning rate and regularisation of both sides."""
        columns = ratings.users, ratings.items, ratings.ratings
        self.rates = jnp.array([*rates, 0, 0], jnp.float32)
        self.counters = jnp.array([seed, 1], jnp.uint32)
        # What is not computed yet must not change while the library works on it.
        self._kept = jax.block_until_ready((columns, sides, self.rates, self.counters))
        self.view = Pass(
            *map(_pointer, columns), len(ratings), *map(_side, sides),
            Shape(sides[0].factors, WHOLE_ROW_BITS), kernels.block_size(len(ratings)), 0,
        )  # fmt: skip


def _side(table: tables.Table) -> Side:
    storages = by_code(table.stored)

    def view(code: int) -> Table:
        if code not in storages:
            return Table(None, 0, 0)
        array = table.stored[storages[code].name]
        return Table(_pointer(array), array.shape[1], 0)

    return Side(
        (Table * len(CODES))(*map(view, CODES)), _pointer(table.starts), _pointer(table.codes),
        table.groups, len(table), None,
    )  # fmt: skip


def _pointer(array: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.unsafe_buffer_pointer())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--capability", type=int, help="ten times the GPU's; default: this one's")
    options = parser.parse_args(arguments)
    sys.stdout.write(f"{build(options.capability or capability_of(choose_device('cuda')))}\n")


if __name__ == "__main__":
    main()
