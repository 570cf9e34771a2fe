"""Every example in --help does what it says, on files as it names them."""

import shlex
import shutil

import pytest

from mascot_jax.command.click_arguments import ACTIONS
from mascot_jax.command.main import main
from mascot_jax.command.subcommands import SUBCOMMANDS


def examples():
    """Yield the commands of all subcommands and of those of ``mascot clicks``."""
    for _, words in (*SUBCOMMANDS.values(), *ACTIONS.values()):
        yield from words.examples.replace("\\\n", " ").splitlines()


@pytest.mark.parametrize("command", sorted({*examples()}), ids=str.strip)
def test_example(request, tmp_path, monkeypatch, capsys, command):
    prog, *argv = shlex.split(command)
    assert prog == "mascot"
    made = request.getfixturevalue("made_clicks" if argv[0] == "clicks" else "made")
    capsys.readouterr()
    for path in made.iterdir():
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    if "train" in argv[:2]:
        argv += ["--epochs", "2"]
    assert main(argv) == 0
    out, err = capsys.readouterr()
    assert err == ""
    if "-o" not in argv or "train" in argv[:2]:
        assert out
    for name in ("-o", "export"):
        if name in argv:
            written = argv[argv.index(name) + (1 if name == "-o" else 2)]
            assert (tmp_path / written).exists()
