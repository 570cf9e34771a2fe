"""The command as a process, in surroundings of other kinds."""

import os
import subprocess
import sys

import pytest

from mascot_jax import MatrixFactorization


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_ids_are_printed_in_any_encoding(tmp_path, encoding):
    path = tmp_path / "модель"
    ids = ["café", "茶", "a"]
    MatrixFactorization(factors=8, epochs=1).fit((ids, ids, [1.0, 2.0, 3.0])).save(path)
    command = [sys.executable, "-m", "mascot_jax", "recommend", path, "--all", "--include-seen"]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u8336" in done.stdout
    assert (b"caf\xe9" if encoding == "latin-1" else rb"caf\xe9") in done.stdout
