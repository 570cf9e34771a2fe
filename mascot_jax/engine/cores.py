"""The CPU cores that this process may use: fewer than the host has, in a container."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def usable_cores(root: Path = Path("/")) -> int:
    """Return the number of cores that this process may keep busy, the default thread count.

    It is that of the affinity mask, or less where a control group limits CPU time: a quota of 1.5
    cores counts as 2, as threads that exceed a quota are all stopped until the next period.

    Parameters
    ----------
    root
        Where ``proc`` and ``sys/fs/cgroup`` are.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:  # macOS does not tell
        cores = os.cpu_count() or 1
    return max(1, min([cores, *(math.ceil(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """Yield the quota, in cores, of each control group that this process is in and that has one."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux, or no such file system
        return
    mount = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            for folder in _with_parents(mount, path):
                yield from _of_version_2(folder)
        elif "cpu" in controllers.split(","):
            for name in (controllers, "cpu"):
                for folder in _with_parents(mount / name, path):
                    yield from _of_version_1(folder)


def _with_parents(mount: Path, path: str) -> Iterator[Path]:
    """Yield the folders of a group and of those around it: each may have a quota.

    Within a container, the path may be the host's; the container's own group is then the mount.
    """
    group = PurePosixPath(path.lstrip("/"))
    for part in (group, *group.parents):
        if ".." not in part.parts:
            yield mount / part


def _of_version_2(folder: Path) -> Iterator[float]:
    words = _words(folder / "cpu.max")
    if len(words) == 2 and words[0] != "max":
        yield from _ratio(*words)


def _of_version_1(folder: Path) -> Iterator[float]:
    words = _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
    if len(words) == 2:
        yield from _ratio(*words)


def _ratio(quota: str, period: str) -> Iterator[float]:
    if quota.isdecimal() and period.isdecimal() and int(quota) and int(period):  # -1: no quota
        yield int(quota) / int(period)


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError:
        return []
