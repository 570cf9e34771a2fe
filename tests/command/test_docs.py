"""docs/command.md says what the command does."""

import re
from pathlib import Path

import polars as pl
import pytest

from mascot_jax import MatrixFactorization
from mascot_jax.command import main
from mascot_jax.command.click_arguments import ACTIONS
from mascot_jax.command.subcommands import SUBCOMMANDS

PAGE = (Path(__file__).parents[2] / "docs" / "command.md").read_text(encoding="utf-8")
ARGUMENTS = {
    "train": ("ratings.csv", "-o", "again.safetensors", "--factors", "8", "--epochs", "1"),
    "predict": ("model.safetensors", "pairs.csv"),
    "recommend": ("model.safetensors", "--all"),
    "split": ("ratings.csv", "--train", "train.csv", "--test", "held_out.csv"),
    "cross-validate": ("ratings.csv", "--folds", "2", "--epochs", "1", "--factors", "8"),
    "tune": (
        "ratings.csv",
        "--trials",
        "1",
        "--folds",
        "2",
        "--epochs",
        "1",
        "--vary",
        "factors=8",
    ),
    "evaluate": ("model.safetensors", "test.csv", "--top-n", "3", "--sampled", "3"),
    "inspect": ("model.safetensors",),
    "doctor": (),
    "export": ("model.safetensors", "vectors"),
    "clicks train": ("clicks.csv", "-o", "again.safetensors", "--epochs", "1", "--top", "16"),
    "clicks predict": ("clicks.safetensors", "new_clicks.csv"),
    "clicks evaluate": ("clicks.safetensors", "clicks.csv"),
    "clicks inspect": ("clicks.safetensors",),
}


def keys(value):
    """Yield the keys of an object and of those in it, but for settings and storages."""
    for key, part in value.items():
        yield key
        if key in ("settings", "traffic"):
            continue
        for inner in part if isinstance(part, list) else [part]:
            if isinstance(inner, dict):
                yield from keys(inner)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_every_key_of_json_is_documented(request, tmp_path, monkeypatch, mascot_json, name):
    clicks = name.startswith("clicks")
    monkeypatch.chdir(request.getfixturevalue("made_clicks" if clicks else "made"))
    written = ("again.safetensors", "vectors", "train.csv", "held_out.csv")
    argv = [str(tmp_path / arg) if arg in written else arg for arg in ARGUMENTS[name]]
    (entry,) = re.findall(rf"^\* `{name}`: (.*?)(?=^\* |^$)", PAGE, re.DOTALL | re.MULTILINE)
    documented = set(re.findall(r"`(\w+)`", entry))
    for found in mascot_json(*name.split(), *argv):
        missing = set(keys(found)) - documented
        assert missing <= {"storage", "rows", "bytes", "groups"}, missing


def test_every_key_of_a_checkpoint_is_documented(made, tmp_path, mascot_json):
    checkpoint = tmp_path / "checkpoint"
    MatrixFactorization(factors=8, epochs=1).fit(
        pl.read_csv(made / "ratings.csv"), user="user", checkpoint=checkpoint
    )
    (found,) = mascot_json("inspect", checkpoint)
    (entry,) = re.findall(r"Of a\s+\[checkpoint\].*?^\* ", PAGE, re.DOTALL | re.MULTILINE)
    documented = set(re.findall(r"`(\w+)`", entry)) - {"file", "bytes"}  # of parts
    assert set(keys(found)) - {"storage", "rows", "bytes", "groups"} == documented


def test_arguments_are_of_every_subcommand():
    names = {*SUBCOMMANDS} - {"clicks"} | {f"clicks {name}" for name in ACTIONS}
    assert set(ARGUMENTS) == names


def test_every_subcommand_and_exit_code_is_there():
    for name in SUBCOMMANDS:
        assert f"| `mascot {name} " in PAGE or f"| `mascot {name}` " in PAGE
    for code in (main.FAILED, main.USAGE, main.INTERRUPTED):
        assert f"| {code}" in PAGE
