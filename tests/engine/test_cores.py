"""The default number of threads: of the cores that a container may use, not of those it sees."""

import os

import pytest

from mascot_jax.engine.cores import usable_cores

HAS = len(os.sched_getaffinity(0))


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def version_2(root, group, quota):
    write(root / "proc/self/cgroup", f"0::{group}\n")
    write(root / "sys/fs/cgroup/pod/cpu.max", quota)


def version_1(root, group, quota, controllers="cpu,cpuacct"):
    write(root / "proc/self/cgroup", f"9:memory:/pod\n4:{controllers}:{group}\n0::/\n")
    quota, period = quota.replace("max", "-1").split()
    write(root / f"sys/fs/cgroup/{controllers}/pod/cpu.cfs_quota_us", quota)
    write(root / f"sys/fs/cgroup/{controllers}/pod/cpu.cfs_period_us", period)


@pytest.fixture
def many_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))


@pytest.mark.parametrize("make", [version_2, version_1])
@pytest.mark.parametrize("group", ["/pod", "/pod/inner/task"])
@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("5000 100000", 1),
        ("max 100000", 64),
        ("9900000 100000", 64),
        ("25000 10000", 3),
    ],
)
def test_a_quota_of_the_group_or_of_one_around_it_counts(
    tmp_path, many_cores, make, group, quota, cores
):
    make(tmp_path, group, quota)
    assert usable_cores(tmp_path) == cores


def test_in_a_container_the_group_is_the_root_of_what_it_sees(tmp_path, many_cores):
    write(tmp_path / "proc/self/cgroup", "0::/kubepods/of-the-host\n")
    write(tmp_path / "sys/fs/cgroup/cpu.max", "300000 100000\n")
    assert usable_cores(tmp_path) == 3


def test_a_group_outside_what_the_container_sees_is_not_looked_for(tmp_path, many_cores):
    version_2(tmp_path / "inside/of/it", "/../../elsewhere", "100000 100000")
    write(tmp_path / "inside/elsewhere/cpu.max", "100000 100000")
    assert usable_cores(tmp_path / "inside/of/it") == 64


@pytest.mark.parametrize("text", ["", "max", "a b", "0 0", "100 0"])
def test_what_is_no_quota_is_none(tmp_path, many_cores, text):
    write(tmp_path / "proc/self/cgroup", "0::/\n")
    write(tmp_path / "sys/fs/cgroup/cpu.max", text)
    assert usable_cores(tmp_path) == 64


def test_without_groups_it_is_the_affinity(tmp_path):
    assert usable_cores(tmp_path) == HAS
    assert 1 <= usable_cores() <= HAS
