"""What the CUDA kernels take of a multiprocessor: ``python -m studies.notes.resources --help``.

Compiles ``ffi/cuda`` and prints registers, stack and spilled bytes of each kernel; with cuobjdump
and nvdisasm on the PATH also its loops over ratings, in instructions, and how wide its accesses to
global memory are. Needs no GPU. Exit status 1 says that a kernel for k up to 256 spills more than
on its way from piece to piece, or within a loop over ratings.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.harness.program import make_parser, write_result
from studies.notes import sass

ROOT = Path(__file__).resolve().parents[2]
PATHS = sorted((ROOT / "ffi" / "cuda").glob("*.cu"))
GENERIC = 0
"""The number of chunks that stands for any k."""
FACTORS_PER_CHUNK = 32
MOST_SPILLED = 64
"""Bytes stored and loaded."""

FUNCTION = re.compile(r"Compiling entry function '(.+)' for '")
FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
REGISTERS = re.compile(r"Used (\d+) registers")
ACCESS = re.compile(r"(LDG|STG|REDG?|ATOMG)\.E\b([A-Z0-9_.x]*)")


class Loop(NamedTuple):
    """A loop over ratings: its instructions, over all its paths."""

    instructions: int
    on_stack: int


class Kernel(NamedTuple):
    """One entry function for one architecture."""

    name: str
    """As in the sources, without parameters: ``update_kernel<4, Nearest, false>``."""
    registers: int
    stack: int
    spilled: int
    """Bytes stored and loaded."""
    loops: list[Loop]
    """Over ratings: of those with a row in FP32, then of the others, as far as there are both."""
    accesses: dict[str, int]
    """Instructions that access global memory, by kind and bits a lane."""

    @property
    def spills(self) -> bool:
        """Whether it spills where that costs."""
        on_stack = any(loop.on_stack for loop in self.loops)
        return self.factors is not None and (on_stack or self.spilled > MOST_SPILLED)

    @property
    def factors(self) -> int | None:
        """The largest k it is for; None if any, or if it works on tables of click models."""
        chunks = re.match(r"(?:update|interact|arithmetic|stream|predict)_kernel<(\d+)", self.name)
        if chunks is None or int(chunks.group(1)) == GENERIC:
            return None
        return int(chunks.group(1)) * FACTORS_PER_CHUNK


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--architectures", nargs="+", type=int, default=[90, 80])
    parser.add_argument("--nvcc", default="nvcc")
    options = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {}
    spilled = False
    for architecture in options.architectures:
        kernels = _inspect(options.nvcc, architecture)
        _print(architecture, kernels)
        found[f"sm_{architecture}"] = [kernel._asdict() for kernel in kernels]
        spilled |= any(kernel.spills for kernel in kernels)
    compiler = _output(options.nvcc, "--version").strip().splitlines()[-1]
    write_result(options.json, {"compiler": compiler, "kernels": found})
    if spilled:
        raise SystemExit(1)


def _inspect(nvcc: str, architecture: int) -> list[Kernel]:
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        parts = pool.map(lambda s: inspect_source(nvcc, architecture, s, Path(folder)), PATHS)
        return [kernel for part in parts for kernel in part]


def inspect_source(nvcc: str, architecture: int, path: Path, folder: Path) -> list[Kernel]:
    """Compile one source and read what the assembler says."""
    binary = folder / f"{path.stem}.cubin"
    flags = ["-std=c++17", "-O3", f"-arch=sm_{architecture}", "-Xptxas", "-v", "-cubin"]
    report = _output(nvcc, *flags, "-I", str(ROOT / "ffi"), "-o", str(binary), str(path))
    with_tools = shutil.which("cuobjdump") and shutil.which("nvdisasm")
    code = sass.read_functions(_output("cuobjdump", "-sass", str(binary))) if with_tools else {}
    kernels = []
    for text in report.split("ptxas info    : Compiling")[1:]:
        mangled, frame, registers = (
            re.search(pattern, "Compiling" + text) for pattern in (FUNCTION, FRAME, REGISTERS)
        )
        assert mangled is not None
        assert frame is not None
        assert registers is not None
        stack, stores, loads = map(int, frame.groups())
        own = code.get(mangled.group(1), {})
        kernels.append(
            Kernel(
                _short(mangled.group(1)),
                int(registers.group(1)),
                stack,
                stores + loads,
                [Loop(len(loop), sass.on_stack(own, loop)) for loop in sass.rating_loops(own)],
                _accesses(own),
            )
        )
    return sorted(kernels)


def _accesses(code: sass.Code) -> dict[str, int]:
    """Count accesses to global memory by kind and width."""
    found = Counter(
        f"{access.group(1).rstrip('G')} {_bits(access.group(2))}"
        for instruction in code.values()
        if (access := ACCESS.match(instruction.full_name))
    )
    return dict(sorted(found.items()))


def _bits(modifiers: str) -> int:
    """Return the width of an access from the parts behind its name."""
    parts = modifiers.split(".")
    for part in parts:
        if packed := re.fullmatch(r"F(16|32)x(\d)", part):
            return int(packed.group(1)) * int(packed.group(2))
    widths = {"128": 128, "64": 64, "U8": 8, "S8": 8, "U16": 16, "S16": 16, "F16": 16}
    return next((widths[part] for part in parts if part in widths), 32)


def _short(name: str) -> str:
    """Demangle, and drop return type, namespaces and parameters."""
    tool = "cu++filt" if shutil.which("cu++filt") else "c++filt"
    name = _output(tool, name).strip()
    name = re.sub(r"\(int\)|\(bool\)|mascot::|cuda::|\(anonymous namespace\)::|void ", "", name)
    name = re.sub(r"StorageList<([^>]*)>", lambda m: m.group(1).replace(", ", "+"), name)
    name = name.split("(")[0].replace(" >", ">")
    return name.replace(", 0>", ", false>").replace(", 1>", ", true>")


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout + done.stderr


def _print(architecture: int, kernels: list[Kernel]) -> None:
    sys.stdout.write(
        f"sm_{architecture:<59}{'k to':>6}{'registers':>11}{'spilled':>9}"
        "  instructions of the loops (on the stack); global accesses by bits a lane\n"
    )
    for kernel in kernels:
        loops = ", ".join(f"{loop.instructions} ({loop.on_stack})" for loop in kernel.loops)
        accesses = ", ".join(f"{count} x {kind}" for kind, count in kernel.accesses.items())
        sys.stdout.write(
            f"{kernel.name:62}{kernel.factors or 'any':>6}{kernel.registers:11}{kernel.spilled:9}"
            f"  {loops}; {accesses}\n"
        )


if __name__ == "__main__":
    main()
