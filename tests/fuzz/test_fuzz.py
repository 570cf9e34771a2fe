"""A bounded run of the fuzzers, and that they find what they should."""

import json
import subprocess
import sys

import pytest

from mascot_jax.errors import MascotError
from tests.fuzz import faulty
from tests.fuzz.campaign import CHECKOUT, run
from tests.fuzz.targets import MODULE_OF, TARGETS

pytestmark = pytest.mark.hardening

every_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


@every_target
def test_every_input_is_accepted_or_refused_with_our_own_error(target, tmp_path):
    report = run(target.name, 100, seed=1, keep=tmp_path, module=MODULE_OF[target.name])
    assert report.findings == []
    assert report.inputs == report.accepted + report.refused == 100


@every_target
def test_inputs_are_a_function_of_seed_and_number(target):
    first, again = ([target.input(3, number) for number in range(20)] for _ in range(2))
    assert first == again
    assert first != [target.input(4, number) for number in range(20)]
    assert len(set(first)) > 10


@every_target
def test_many_seeds_are_valid(target, tmp_path):
    accepted = 0
    path = tmp_path / "input" / target.file
    path.parent.mkdir()
    for data in target.seeds:
        path.write_bytes(data)
        try:
            target.read(path)
        except MascotError:
            continue
        accepted += 1
    assert accepted > len(target.seeds) / 3  # some files are whole and hold what is no id


EXPECTED = {
    "raise_another_error": "KeyError in faulty.py, raise_another_error",
    "hang": "takes too long",
    "spin": "takes too long",
    "crash": "the process ended with -6",
    "leave_files_open": "open files are left",
    "leave_temporary_files": "temporary files are left",
    "take_memory": "MemoryError in faulty.py, take_memory",
    "say_what_cannot_be_printed": "message of DataError in faulty.py, say_what_cannot_be_printed "
    "cannot be printed",
}


@pytest.mark.parametrize(("name", "kind"), EXPECTED.items(), ids=EXPECTED)
def test_a_faulty_reader_is_found(name, kind, tmp_path):
    report = run(name, 30, seed=0, keep=tmp_path, module=faulty.__name__, limit_s=0.2)
    assert {finding["kind"] for finding in report.findings} == {kind}
    assert report.inputs == 30
    # The input that did it is kept, and does it again.
    path = tmp_path / f"{name}-0-{report.findings[0]['number']}"
    assert str(path) == report.findings[0]["file"]
    if name not in ("leave_files_open", "leave_temporary_files"):  # noticed later
        assert len(path.read_bytes()) % 5 == 1


def test_the_command_prints_and_writes_figures(tmp_path):
    figures = tmp_path / "figures.json"
    done = subprocess.run(
        [
            sys.executable, "-m", "tests.fuzz",
            "--target", "gz", "--inputs", "20", "--json", figures, "--keep", tmp_path / "kept",
        ],
        cwd=CHECKOUT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[1].split()[:2] == ["gz", "20"]
    (report,) = json.loads(figures.read_text(encoding="utf-8"))
    assert (report["target"], report["inputs"], report["findings"]) == ("gz", 20, [])
    assert not (tmp_path / "kept").exists()
