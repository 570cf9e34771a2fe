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
NO_COMPILER = "-DCMAKE_CUDA_COMPILER=NOTFOUND"


def configure(folder, value, *options):
    """Run CMake's configuration with ``MASCOT_CUDA``; its status and what it said, in one line."""
    environment = {name: text for name, text in os.environ.items() if name != "MASCOT_CUDA"}
    cmake = shutil.which("cmake", path=PATH)
    assert cmake, "the extra `test` brings CMake"
    done = subprocess.run(
        [
            cmake, "-S", CHECKOUT, "-B", folder, f"-DMASCOT_CUDA={value}",
            f"-Dnanobind_DIR={nanobind.cmake_dir()}", f"-DPython_EXECUTABLE={sys.executable}",
            *options,
        ],
        env=environment | {"PATH": PATH}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(
    ("value", "options", "message"),
    [
        ("maybe", [], "MASCOT_CUDA is 'maybe': must be auto, on or off"),
        ("on", [NO_COMPILER], "no CUDA compiler was found: put nvcc on the PATH or set CUDACXX"),
    ],
)
def test_a_cuda_setting_that_cannot_be_met_stops_the_build(tmp_path, value, options, message):
    status, said = configure(tmp_path, value, *options)
    assert status != 0
    assert message in said


@pytest.mark.parametrize("options", [["auto", NO_COMPILER], ["off"]], ids=" ".join)
def test_without_cuda_the_module_is_left_out(tmp_path, options):
    status, said = configure(tmp_path, *options)
    assert status == 0
    assert "CUDA module: OFF" in said
