"""What the doctor says of this machine, and of worse ones."""

import os
import platform

import mascot_ffi
import pytest

from mascot_jax.command import doctor
from mascot_jax.distributed import join
from mascot_jax.engine import native
from mascot_jax.errors import BuildError


def named(checks):
    return {check["name"]: check for check in checks}


def test_this_machine_can_train(mascot_json):
    (found,) = mascot_json("doctor")
    assert found["ok"]
    checks = named(found["checks"])
    assert {check["state"] for check in checks.values()} <= {"ok", "note"}
    for name in ("jax", "jaxlib", "native module", "training", "threads", "extra data"):
        assert name in checks
    assert all(check["remedy"] for check in checks.values() if check["state"] == "note")
    compiled = ".".join(map(str, mascot_ffi.FFI_API_VERSION))
    assert f"XLA FFI {compiled}" in checks["native module"]["found"]


@pytest.fixture
def quick(monkeypatch):
    """Leave out what takes seconds."""
    monkeypatch.setattr(doctor, "_training", lambda: doctor.Check("training", "ok", "pretended"))


@pytest.mark.usefixtures("quick")
def test_a_stale_native_module_is_broken(monkeypatch, mascot):
    def refuse(_):
        raise BuildError("built from other sources: run `pip install .`")

    monkeypatch.setattr(native, "check_sources", refuse)
    code, out, err = mascot("doctor")
    assert (code, err) == (1, "")
    assert "\nbroken  native module" in out
    assert "broken: native module: built from other sources: run `pip install .`" in out


@pytest.mark.usefixtures("quick")
def test_what_nobody_foresaw_is_a_broken_check(monkeypatch, mascot):
    def fail():
        raise ZeroDivisionError("so\nit is")

    monkeypatch.setattr(mascot_ffi, "build_info", fail)
    code, out, _ = mascot("doctor")
    assert code == 1
    assert "ZeroDivisionError: so it is" in out
    assert "threads" in out


def test_missing_packages(monkeypatch):
    found = {"polars": "", "tqdm": ""}
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: found.get(name, real(name)))
    packages = {check.name: check for check in doctor._packages()}
    assert (packages["tqdm"].state, packages["tqdm"].remedy) == ("broken", "run `pip install tqdm`")
    extras = {check.name: check for check in doctor._extras()}
    assert extras["extra data"].state == "note"
    assert "without polars" in extras["extra data"].found
    assert "pip install 'mascot-jax[data]'" in extras["extra data"].remedy


@pytest.mark.parametrize(
    ("text", "state"), [("always [madvise] never", "ok"), ("always madvise [never]", "note")]
)
def test_huge_pages(monkeypatch, tmp_path, text, state):
    path = tmp_path / "enabled"
    path.write_text(text)
    monkeypatch.setattr(doctor, "HUGE_PAGES", path)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    check = doctor._huge_pages()
    assert (check.state, bool(check.remedy)) == (state, state == "note")


def test_no_huge_pages_at_all(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "HUGE_PAGES", tmp_path / "none")
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    assert doctor._huge_pages().state == "note"


def test_huge_pages_are_linuxs(monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    check = doctor._huge_pages()
    assert (check.state, check.found) == ("ok", "not asked for on Darwin")
    assert not check.remedy


def test_threads_are_told_where_there_is_no_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert doctor._threads().found.startswith(f"{os.cpu_count()} of {os.cpu_count()} cores")


def test_plain_kernels_are_slow_and_it_says_so(monkeypatch):
    monkeypatch.setattr(mascot_ffi, "build_info", lambda: {"instruction_sets": ["portable"]})
    assert doctor._instruction_sets().state == "note"


@pytest.mark.parametrize(
    ("address", "state", "found"),
    [("192.0.2.7", "ok", "stands for 192.0.2.7"), ("127.0.1.1", "note", "127.0.1.1"),
     (None, "note", "has no address")],
)  # fmt: skip
def test_a_host_name_that_others_cannot_use_is_noted(monkeypatch, address, state, found):
    monkeypatch.setattr(join, "own_address", lambda: address)
    check = doctor._host_name()
    assert check.state == state
    assert found in check.found
    assert bool(check.remedy) == (state == "note")
