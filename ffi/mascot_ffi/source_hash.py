"""The hash of the native sources: CMake computes it to build in, and a run to notice a stale build.

A checkout's Python code runs beside an installed native module. If the sources in the checkout are
not those that the module was built from, results would silently come from the old kernel.
"""

import hashlib
import sys
from pathlib import Path

SUFFIXES = {".cc", ".cu", ".cuh", ".h", ".txt"}


def source_hash(folder: Path) -> str:
    """Return the SHA-256 (hex) over names and contents of all native sources below ``folder``."""
    digest = hashlib.sha256()
    sources = (p for p in folder.rglob("*") if p.is_file() and p.suffix in SUFFIXES)
    for path in sorted(sources, key=lambda p: p.relative_to(folder).as_posix()):
        name, content = path.relative_to(folder).as_posix(), path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


if __name__ == "__main__":
    sys.stdout.write(source_hash(Path(sys.argv[1])))
