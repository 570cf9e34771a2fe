"""Teams of threads: without memory, an error and not the end of the process."""

import subprocess

from tests.support.cuda_on_host import CHECKOUT, NATIVE, compiler


def test_what_a_thread_throws_reaches_the_caller(tmp_path):
    program = tmp_path / "program"
    subprocess.run(
        [
            compiler(), "-std=c++17", "-Wall", "-Wextra", "-Werror", "-pthread", "-I",
            CHECKOUT / "ffi", NATIVE / "parallel_on_host.cc", "-o", program,
        ],
        check=True,
    )  # fmt: skip
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    assert done.stdout == "caught\n"
