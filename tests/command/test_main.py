"""Help, exit codes, and where messages go."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import shtab

import mascot_jax
from mascot_jax.command import main as main_module
from mascot_jax.command.parser import make_parser
from mascot_jax.command.subcommands import SUBCOMMANDS
from mascot_jax.errors import DataError, SettingsError

CHECKOUT = Path(__file__).parents[2]
CALL = "import sys; from mascot_jax.command.main import main; sys.exit(main(sys.argv[1:]))"


def process(*argv, **settings):
    return subprocess.run(
        [sys.executable, "-c", CALL, *argv], cwd=CHECKOUT, check=False, **settings
    )


def test_help_says_what_there_is_and_what_exit_codes_mean(mascot):
    code, out, _ = mascot("--help")
    assert code == 0
    for part in (*SUBCOMMANDS, "exit codes:", "  130  ", "  141  "):
        assert part in out


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_help_of_a_subcommand_ends_with_examples(mascot, name):
    code, out, _ = mascot(name, "--help")
    assert code == 0
    assert f"  mascot {name} " in out.split("examples:\n")[1] + " "


def test_help_waits_for_no_library():
    heavy = ["jax", "polars", "numpy", "pydantic", "pandas", "narwhals", "safetensors"]
    code = f"""
import sys
from mascot_jax.command.main import main
try:
    main(["--help"])
except SystemExit:
    pass
sys.exit(str([name for name in {heavy} if name in sys.modules]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.stderr == "[]\n"
    assert "recommend" in done.stdout


def test_a_parser_parses_more_than_once():
    parser = make_parser(filled=True)
    for _ in range(2):
        assert parser.parse_args(["recommend", "m", "--users", "-1"]).users == ["-1"]


def test_version(mascot):
    assert mascot("--version") == (0, f"{mascot_jax.__version__}\n", "")


@pytest.mark.parametrize("shell", shtab.SUPPORTED_SHELLS)
def test_completion_knows_every_subcommand_and_setting(mascot, shell):
    code, script, _ = mascot("--print-completion", shell)
    assert code == 0
    for part in (*SUBCOMMANDS, "learning-rate", "include-seen"):
        assert part in script


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_the_script_for_bash_is_one(mascot):
    _, script, _ = mascot("--print-completion", "bash")
    assert subprocess.run(["bash", "-n"], input=script.encode(), check=False).returncode == 0


@pytest.mark.parametrize(
    "argv",
    [[], ["fly"], ["inspect"], ["train", "x.csv"], ["train", "x.csv", "-o", "y", "--factors", "k"]],
)
def test_a_wrong_command_line_is_2(mascot, argv):
    code, out, err = mascot(*argv)
    assert code == 2
    assert out == ""
    assert "mascot" in err.splitlines()[-1]


def pretend(monkeypatch, run):
    monkeypatch.setattr(main_module, "import_module", lambda _: SimpleNamespace(run=run))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("factors: 0: must be more"), 2),
        (DataError("line 7: no rating"), 1),
        (FileNotFoundError(2, "No such file", "model"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_are_a_line_and_a_code(monkeypatch, mascot, error, code):
    def run(_):
        raise error

    pretend(monkeypatch, run)
    found, out, err = mascot("doctor")
    assert (found, out) == (code, "")
    assert err == f"mascot: {error if code != 130 else 'interrupted'}\n"


def test_an_error_that_is_ours_keeps_its_traceback(monkeypatch, mascot):
    def run(_):
        raise ZeroDivisionError

    pretend(monkeypatch, run)
    with pytest.raises(ZeroDivisionError):
        mascot("doctor")


def test_a_reader_that_has_enough_is_no_traceback():
    reading, writing = os.pipe()
    os.close(reading)
    done = process("doctor", "--json", stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("ignored", [False, True])
def test_as_a_process_ctrl_c_is_no_exception(ignored):
    """Unless it is ignored, as for what a shell starts in the background."""
    code = (
        "import signal\n"
        "from mascot_jax.command import main\n"
        "main.main = lambda: signal.raise_signal(signal.SIGINT)\n"
        "main.run()"
    )
    if ignored:
        code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + code
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0 if ignored else -signal.SIGINT, "")
