"""The same bits on another machine: what dvc.lock promises to whoever runs ``make repro``."""

import os

import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

from pipeline.check_lock import differences, output_hashes
from tests.pipeline.workspace import stages_run

POORER = {
    # AVX alone, without AVX2 and fused multiply-add: jaxlib asks for no less.
    "XLA_FLAGS": "--xla_cpu_max_isa=AVX",
    "NPY_DISABLE_CPU_FEATURES": " ".join(x for x in __cpu_dispatch__ if __cpu_features__[x]),
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F",
    "POLARS_MAX_THREADS": "1",
}
"""What makes libraries take this machine for an older one."""


def hashes(workspace):
    return output_hashes(workspace.path("dvc.lock").read_text(encoding="utf-8"))


@pytest.fixture
def one_core():
    """Let this thread, and what it starts, run on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    yield
    os.sched_setaffinity(0, cores)


@pytest.mark.hardening
@pytest.mark.usefixtures("one_core")
def test_a_poorer_machine_makes_the_same_bits(fresh, reproduced, tmp_path, monkeypatch):
    poorer = fresh.copy(tmp_path / "repository")
    kernels = poorer.path("mascot_jax/engine/kernels.py")
    source = kernels.read_text(encoding="utf-8")
    best = 'instruction_set: str = "auto"'
    assert best in source
    kernels.write_text(source.replace(best, best.replace("auto", "portable")), encoding="utf-8")
    for name, value in POORER.items():
        monkeypatch.setenv(name, value)
    poorer.dvc("repro")
    assert differences(hashes(reproduced), hashes(poorer)) == []
    assert poorer.json("timings.json")["threads"] == 1


@pytest.mark.hardening
def test_running_all_again_makes_the_same_bits(workspace):
    before = hashes(workspace)
    assert len(stages_run(workspace.dvc("repro", "--force"))) == 9
    assert differences(before, hashes(workspace)) == []


class TestCheckLock:
    def test_what_was_made_as_committed_passes(self, workspace):
        done = workspace.stage("check_lock")
        said = "all 16 outputs are those of the committed dvc.lock\n"
        assert (done.returncode, done.stdout, done.stderr) == (0, said, "")

    def test_what_was_not_is_named(self, workspace):
        lock, before = workspace.path("dvc.lock"), hashes(workspace)
        model = before["models/1.safetensors"]
        text = lock.read_text(encoding="utf-8").replace(model, 32 * "f")
        lock.write_text(text, encoding="utf-8")
        done = workspace.stage("check_lock")
        assert done.returncode == 1
        first, last = done.stderr.splitlines()
        assert first == f"models/1.safetensors: {32 * 'f'} was made, {model} committed"
        assert last.startswith("error: 1 outputs are not those of the committed dvc.lock.")

    def test_without_a_committed_lock_it_says_so(self, fresh):
        done = fresh.stage("check_lock")
        assert done.returncode == 1
        assert done.stderr.startswith("error: the last commit's dvc.lock cannot be read: fatal: ")

    def test_times_do_not_count(self, reproduced):
        made = hashes(reproduced)
        assert "metrics.json" in made
        assert "timings.json" not in made

    def test_an_output_of_one_side_only_is_a_difference(self):
        assert differences({"a": "1", "b": "2"}, {"b": "2", "c": "3"}) == [
            "a: nothing was made, 1 committed",
            "c: 3 was made, nothing committed",
        ]
