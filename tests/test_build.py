"""Configuring the build, which fails before it compiles anything."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nanobind
import pytest

CHECKOUT = Path(__file__).parents[1]
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def configure(folder, value):
    """Run CMake's configuration with ``MASCOT_CUDA``; its status and errors, in one line."""
    environment = {name: text for name, text in os.environ.items() if name != "MASCOT_CUDA"}
    cmake = shutil.which("cmake", path=PATH)
    assert cmake, "the extra `test` brings CMake"
    done = subprocess.run(
        [
            cmake, "-S", CHECKOUT, "-B", folder, f"-DMASCOT_CUDA={value}",
            f"-Dnanobind_DIR={nanobind.cmake_dir()}", f"-DPython_EXECUTABLE={sys.executable}",
        ],
        env=environment | {"PATH": PATH}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("maybe", "MASCOT_CUDA is 'maybe': must be auto, on or off"),
        ("on", "MASCOT_CUDA is on, but this version has no CUDA kernel"),
    ],
)
def test_a_cuda_setting_that_cannot_be_met_stops_the_build(tmp_path, value, message):
    status, said = configure(tmp_path, value)
    assert status != 0
    assert message in said


@pytest.mark.parametrize("value", ["auto", "off"])
def test_without_a_cuda_kernel_the_build_needs_no_cuda(tmp_path, value):
    assert configure(tmp_path, value)[0] == 0
