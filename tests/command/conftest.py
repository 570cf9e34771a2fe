import json

import pytest

from mascot_jax.command.main import main


@pytest.fixture
def mascot(capsys):
    """Run the command in this process: its exit code, and what it printed where."""

    def run(*argv):
        capsys.readouterr()
        try:
            code = main([str(arg) for arg in argv])
        except SystemExit as ended:  # argparse's way
            code = ended.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def mascot_json(mascot):
    """Run the command with --json, which must succeed; return the objects, one per line."""

    def run(*argv):
        code, out, err = mascot(*argv, "--json")
        assert code == 0, err
        return [json.loads(line) for line in out.splitlines()]

    return run
