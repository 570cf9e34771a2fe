"""Teams of threads, which stay from one call to the next."""

import subprocess

import pytest

from tests.support.cuda_on_host import CHECKOUT, NATIVE, compiler


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("parallel") / "program"
    subprocess.run(
        [
            compiler(), "-std=c++17", "-Wall", "-Wextra", "-Werror", "-pthread", "-I",
            CHECKOUT / "ffi", CHECKOUT / "ffi/core/parallel.cc", NATIVE / "parallel_on_host.cc",
            "-o", path,
        ],
        check=True,
    )  # fmt: skip
    return path


@pytest.mark.parametrize("what", ["throws", "stays", "together", "several", "forks"])
def test_a_team(program, what):
    """The program says what each means."""
    done = subprocess.run([program, what], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "right\n"
