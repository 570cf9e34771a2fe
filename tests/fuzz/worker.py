"""The process that does the reading, which an input may crash: ``python -m tests.fuzz.worker``.

What it has done lies in a shared file, and what it found in another, however it ends.
"""

import importlib
import json
import mmap
import os
import resource
import signal
import struct
import sys
import tempfile
import traceback
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mascot_jax.errors import MascotError
from tests.fuzz.target import Target

LEAK_EVERY = 200
"""Inputs between looks at what is left open or lying about."""
EXTRA_BYTES = 4 * 2**30
"""Address space that reading may take beyond what the process has when it begins."""
MOST_PER_KIND = 3
"""Inputs that are kept of findings that look the same."""


class Progress(NamedTuple):
    """What a worker has done: the number it is at, and what became of those before."""

    at: int = 0
    accepted: int = 0
    refused: int = 0
    growth: int = 0
    """Bytes that the process has grown by since its first tenth."""


_PROGRESS = struct.Struct("<4q")


def read_progress(path: Path) -> Progress:
    return Progress(*_PROGRESS.unpack(path.read_bytes()))


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


class Worker:
    """Reads the inputs of a target and notes what is no answer."""

    def __init__(self, target: Target, seed: int, folder: Path, limit_s: float) -> None:
        self.target, self.seed, self.limit_s = target, seed, limit_s
        self.findings = folder / "findings.jsonl"
        self.progress_path = folder / "progress"
        self.place = folder / "input" / target.file
        self.place.parent.mkdir(exist_ok=True)
        self.temporary = folder / "temporary"
        self.temporary.mkdir(exist_ok=True)
        self.kinds: Counter[str] = Counter()

    def run(self, begin: int, end: int) -> None:
        with self.progress_path.open("wb+") as file:
            file.write(_PROGRESS.pack(*Progress()))
            file.flush()
            with mmap.mmap(file.fileno(), _PROGRESS.size) as shared:
                self._run(shared, begin, end)

    def _run(self, shared: mmap.mmap, begin: int, end: int) -> None:
        accepted = refused = growth = 0
        self._warm_up()
        # The first tenth fills caches and pools.
        settled = begin + (end - begin) // 10
        size = resident_bytes()
        handles = self._handles()
        for number in range(begin, end):
            _PROGRESS.pack_into(shared, 0, number, accepted, refused, growth)
            if self._read(number):
                accepted += 1
            else:
                refused += 1
            if number == settled:
                size = resident_bytes()
            if number % LEAK_EVERY == 0 or number == end - 1:
                growth = resident_bytes() - size if number > settled else 0
                self._look_for_leaks(number, handles)
        _PROGRESS.pack_into(shared, 0, end, accepted, refused, growth)

    def _warm_up(self) -> None:
        """Read the seeds, so that what is opened once and kept is open."""
        for data in self.target.seeds:
            self.place.write_bytes(data)
            with suppress(MascotError):
                self.target.read(self.place)

    def _read(self, number: int) -> bool:
        self.place.write_bytes(self.target.input(self.seed, number))
        self._alarm(self.limit_s)
        try:
            self.target.read(self.place)
        except MascotError as error:
            if _printable(error):
                return False
            self._note(number, f"message of {_kind(error)} cannot be printed", ascii(str(error)))
            return False
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # also what polars raises where its own code panics
            self._note(number, _kind(error), traceback.format_exc(limit=-3))
            return False
        finally:
            self._alarm(0)
        return True

    @staticmethod
    def _alarm(seconds: float) -> None:
        """End the process, also in native code, after so much of a core's time.

        Or after ten times as long by the clock, which also passes while others use the core.
        """
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_REAL, 10 * seconds)

    def _handles(self) -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    def _look_for_leaks(self, number: int, handles: int) -> None:
        if self._handles() > handles:
            self._note(number, "open files are left", str(self._handles() - handles))
        if left := sorted(path.name for path in self.temporary.iterdir()):
            self._note(number, "temporary files are left", str(left))

    def _note(self, number: int, kind: str, detail: str) -> None:
        self.kinds[kind] += 1
        if self.kinds[kind] <= MOST_PER_KIND:
            with self.findings.open("a", encoding="utf-8", errors="replace") as file:
                file.write(json.dumps({"number": number, "kind": kind, "detail": detail}) + "\n")


def _printable(error: MascotError) -> bool:
    try:
        str(error).encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(error: BaseException) -> str:
    """Return what tells one finding from another: the error, and where it comes from."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(last.filename).name}, {last.name}"


def limit_memory() -> None:
    """Make an input that asks for absurd amounts of memory fail instead of succeed."""
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = used * resource.getpagesize() + EXTRA_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def find_target(module: str, name: str) -> Target:
    return {target.name: target for target in importlib.import_module(module).TARGETS}[name]


def main() -> None:
    module, name, seed, begin, end, limit_s, folder = sys.argv[1:]
    target = find_target(module, name)
    worker = Worker(target, int(seed), Path(folder), float(limit_s))
    assert target.seeds
    tempfile.tempdir = str(worker.temporary)
    limit_memory()
    worker.run(int(begin), int(end))


if __name__ == "__main__":
    main()
