"""``mascot doctor``: check that this machine can train, and say how to fix what is missing."""

from __future__ import annotations

import argparse
import ipaddress
import os
import platform
import re
import socket
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from mascot_jax.command.output import print_json, print_table
from mascot_jax.errors import MascotError

OK: Final = "ok"
NOTE: Final = "note"
"""Training works, but is slow or lacks an optional part."""
BROKEN: Final = "broken"

HUGE_PAGES: Final = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_CHECKOUT: Final = Path(__file__).parents[2]


class Check(NamedTuple):
    """Result of one check."""

    name: str
    state: Literal["ok", "note", "broken"]
    found: str
    remedy: str = ""
    """How to fix the problem; empty if there is none."""


def run(args: argparse.Namespace) -> int:
    """Print all checks; return 1 if one is broken."""
    checks = examine()
    broken = any(check.state == BROKEN for check in checks)
    if args.json:
        print_json({"ok": not broken, "checks": [check._asdict() for check in checks]})
    else:
        print_table((check.state, check.name, check.found) for check in checks)
        for check in checks:
            if check.remedy:
                print(f"\n{check.state}: {check.name}: {check.remedy}")
    return int(broken)


def examine() -> list[Check]:
    """Run all checks; return a failing one as broken instead of raising its error."""
    native = map(_guarded, (_native_module, _instruction_sets, _cuda, _training))
    return [_python(), *_packages(), *native, _threads(), _huge_pages(), _host_name(), *_extras()]


def _guarded(look: Callable[[], Check]) -> Check:
    name = look.__name__.removeprefix("_").replace("_", " ")
    try:
        return look()
    except MascotError as error:
        return Check(name, BROKEN, "does not work", str(error))
    except Exception as error:  # any failure of one check must leave the others visible
        return Check(
            name,
            BROKEN,
            f"{type(error).__name__}: {' '.join(str(error).split())}",
            "install mascot-jax again, in a new virtual environment",
        )


def _python() -> Check:
    return Check("python", OK, f"{platform.python_version()} on {platform.platform()}")


def _packages() -> Iterator[Check]:
    names = ["jaxlib", *(name for name, extra in _requirements() if not extra)]
    yield Check("mascot-jax", OK, version("mascot-jax"))
    for name in names:
        found = _version(name)
        remedy = "" if found else f"run `pip install {name}`"
        yield Check(name, OK if found else BROKEN, found or "not installed", remedy)


def _native_module() -> Check:
    import jax
    import mascot_ffi

    from mascot_jax.engine import native

    native.check_sources(_CHECKOUT)
    compiled = mascot_ffi.FFI_API_VERSION
    running = native.runtime_ffi_version(Path(jax.ffi.include_dir()))
    build = mascot_ffi.build_info()
    return Check(
        "native module",
        OK,
        f"{build['compiler']}, for XLA FFI {_dotted(compiled)}; jaxlib runs {_dotted(running)}",
    )


def _instruction_sets() -> Check:
    import mascot_ffi

    usable = mascot_ffi.build_info()["instruction_sets"]
    found = f"{usable[0]} is used; there are {', '.join(usable)}"
    if usable[0] != "portable":
        return Check("instruction sets", OK, found)
    remedy = "this CPU has neither AVX2 with FMA and F16C nor NEON; training is slow"
    return Check("instruction sets", NOTE, found, remedy)


def _cuda() -> Check:
    from mascot_jax.engine.devices import choose_device
    from mascot_jax.errors import BackendError

    try:
        device = choose_device("cuda")
    except BackendError as error:
        return Check("cuda", NOTE, "not usable; models are trained on the CPU", str(error))
    return Check("cuda", OK, device.device_kind)


def _training() -> Check:
    """Train a model on four ratings, to test kernels and JAX together."""
    import numpy as np

    from mascot_jax.engine.devices import choose_device, computing_on
    from mascot_jax.engine.kernels import Execution
    from mascot_jax.settings import TrainSettings
    from mascot_jax.tables.groups import regroup
    from mascot_jax.training.loop import train_state
    from mascot_jax.training.problem import make_problem, prepare

    users, items = np.array([0, 0, 1, 1], np.uint32), np.array([0, 1, 0, 1], np.uint32)
    groups = regroup(np.array([2, 2]), 1)
    problem = make_problem((users, items, np.ones(4, np.float32)), groups, groups)
    plan = TrainSettings(factors=8, epochs=1).plan()
    with computing_on(choose_device("cpu")):
        state = train_state(prepare(problem, plan, Execution()), Execution())
    return Check("training", OK, f"{int(state.epoch)} epoch of a tiny model on the CPU")


def _threads() -> Check:
    from mascot_jax.engine.cores import usable_cores

    found = f"{usable_cores()} of {os.cpu_count() or 1} cores may be used, and are by default"
    return Check("threads", OK, found)


def _huge_pages() -> Check:
    if platform.system() != "Linux":
        return Check("huge pages", OK, f"not asked for on {platform.system()}")
    remedy = (
        "factors then lie on small pages, and large tables train slower; as root: "
        f"`echo madvise > {HUGE_PAGES}`"
    )
    if not HUGE_PAGES.is_file():
        return Check("huge pages", NOTE, "this kernel does not tell", remedy)
    text = HUGE_PAGES.read_text(encoding="utf-8")
    chosen = re.search(r"\[(\w+)\]", text)
    state = chosen.group(1) if chosen else text.strip()
    if state == "never":
        return Check("huge pages", NOTE, state, remedy)
    return Check("huge pages", OK, state)


def _host_name() -> Check:
    """Look where other hosts would find a process of this one (``mascot train --distributed``)."""
    from mascot_jax.distributed.join import own_address

    name, address = socket.gethostname(), own_address()
    if address is not None and not ipaddress.ip_address(address).is_loopback:
        return Check("host name", OK, f"{name} stands for {address}")
    found = f"{name} stands for {address}" if address else f"{name} has no address"
    remedy = (
        "processes on other hosts cannot share a training with one here; let the name stand for "
        f"this host's address in their network: a line `ADDRESS {name}` in /etc/hosts, and none "
        "that gives it a loopback address"
    )
    return Check("host name", NOTE, found, remedy)


def _extras() -> Iterator[Check]:
    """Yield one check per extra: its missing packages, from the installed package's metadata."""
    extras: dict[str, list[str]] = {}
    for name, extra in _requirements():
        if extra:
            extras.setdefault(extra, []).append(name)
    for extra, names in extras.items():
        missing = [name for name in names if not _version(name)]
        if missing:
            remedy = f"if you want what it is for, run `pip install 'mascot-jax[{extra}]'`"
            yield Check(f"extra {extra}", NOTE, f"without {', '.join(missing)}", remedy)
        else:
            yield Check(f"extra {extra}", OK, "installed")


def _requirements() -> Iterator[tuple[str, str]]:
    """Yield each package that mascot-jax requires, with its extra or an empty string."""
    for line in requires("mascot-jax") or ():
        name = re.match(r"[\w.-]+", line)
        extra = re.search(r"extra == ['\"]([\w.-]+)['\"]", line)
        if name and name[0] != "mascot-jax":
            yield name[0], extra[1] if extra else ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _dotted(numbers: tuple[Any, ...]) -> str:
    return ".".join(map(str, numbers))
