"""Teams of threads: without memory, an error and not the end of the process."""

import os
import shutil
import subprocess

from tests.cuda_on_host import CHECKOUT, NATIVE


def test_what_a_thread_throws_reaches_the_caller(tmp_path):
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    assert compiler, "a C++ compiler builds the native module too"
    program = tmp_path / "program"
    subprocess.run(
        [
            compiler, "-std=c++17", "-Wall", "-Wextra", "-Werror", "-pthread", "-I",
            CHECKOUT / "ffi", NATIVE / "parallel_on_host.cc", "-o", program,
        ],
        check=True,
    )  # fmt: skip
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    assert done.stdout == "caught\n"
