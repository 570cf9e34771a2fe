"""Load the native module; check that it exists, fits this jaxlib and matches the sources.

Importing this module registers the FFI targets, once.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import jax

from mascot_jax.errors import BuildError

REBUILD = "run `pip install .` in the checkout (or reinstall mascot-jax)"

try:
    import mascot_ffi
except ImportError as error:
    raise BuildError(
        f"the native module mascot_ffi cannot be imported ({error}); {REBUILD}"
    ) from error


def runtime_ffi_version(include_dir: Path) -> tuple[int, int]:
    """Return the XLA FFI API version (major, minor) of the jaxlib with these headers.

    Raises
    ------
    BuildError
        If the headers do not state it: registering handlers could then break all of JAX.
    """
    path = include_dir / "xla" / "ffi" / "api" / "c_api.h"
    header = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = [re.search(rf"#define XLA_FFI_API_{part} (\d+)", header) for part in ("MAJOR", "MINOR")]
    if found[0] is None or found[1] is None:
        raise BuildError(
            f"{path} does not tell the XLA FFI version of jaxlib {version('jaxlib')}: install a "
            "jaxlib that mascot-jax supports (0.10.2 or newer)"
        )
    return int(found[0].group(1)), int(found[1].group(1))


def check_ffi_version(compiled: tuple[int, int], running: tuple[int, int]) -> None:
    """Refuse handlers newer than the running jaxlib, as they would break its whole back end.

    Raises
    ------
    BuildError
        If they are newer; the message has both versions and what to run.
    """
    if compiled > running:
        raise BuildError(
            f"mascot_ffi was built for XLA FFI {compiled[0]}.{compiled[1]}, but jaxlib "
            f"{version('jaxlib')} runs {running[0]}.{running[1]}: upgrade jaxlib, or {REBUILD} "
            "with the jaxlib you use"
        )


def check_sources(checkout: Path) -> None:
    """Refuse to run a checkout's Python code with a native module built from other sources.

    Do nothing if ``checkout`` has no ``ffi`` folder.

    Raises
    ------
    BuildError
        If the hashes differ.
    """
    from mascot_ffi.source_hash import source_hash

    sources = checkout / "ffi"
    if not (sources / "CMakeLists.txt").is_file():
        return
    built, found = mascot_ffi.build_info()["source_hash"], source_hash(sources)
    if built != found:
        raise BuildError(
            f"the installed native module was built from other sources ({built[:12]}) than those "
            f"in {sources} ({found[:12]}): run `pip install .` there"
        )


check_ffi_version(mascot_ffi.FFI_API_VERSION, runtime_ffi_version(Path(jax.ffi.include_dir())))
for _platform, _targets in mascot_ffi.registrations().items():
    for _name, _capsule in _targets.items():
        jax.ffi.register_ffi_target(_name, _capsule, platform=_platform)
