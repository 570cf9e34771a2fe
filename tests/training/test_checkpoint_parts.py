"""Checkpoints that several processes write: a part of each, and a file that names them."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from mascot_jax.base.tensor_file import read_tensors, write_tensors
from mascot_jax.command.main import main
from mascot_jax.errors import CheckpointError
from mascot_jax.training import checkpoint_parts
from mascot_jax.training.checkpoint import (
    FORMAT,
    Checkpoints,
    load_checkpoint,
    remove_checkpoint,
)
from mascot_jax.training.checkpoint_parts import RANGES, folder_of, remove_parts, write_part


@pytest.fixture(scope="session")
def turns(tmp_path_factory):
    """A training by turns of three workers, one and two: what it printed, and what it left."""
    folder = tmp_path_factory.mktemp("turns")
    result = subprocess.run(
        [sys.executable, "-m", "tests.support.shared_checkpoints", folder],
        env=os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout), folder


@pytest.fixture
def path(turns, tmp_path):
    """A checkpoint in three parts, for one test to damage."""
    shutil.copytree(turns[1] / "in_parts", tmp_path, dirs_exist_ok=True)
    return tmp_path / "checkpoint"


def parts_of(path):
    return sorted(folder_of(path).iterdir())


def test_any_number_goes_on_from_the_parts_of_another(turns):
    found, _ = turns
    assert found["by_turns"] == found["whole"]
    assert found["alone"] == ["checkpoint", "earlier", "in_parts", "moments"]  # and no parts
    assert found["removed"] == ["earlier", "in_parts", "moments"]


def test_at_every_moment_of_a_save_there_is_a_whole_checkpoint(turns):
    moments = sorted((turns[1] / "moments").iterdir())
    epochs = [int(load_checkpoint(at / "checkpoint")[0].state.epoch) for at in moments]
    assert epochs == sorted(epochs)
    assert set(epochs) == {1, 2}
    held = [len(parts_of(at / "checkpoint")) for at in moments]
    replaced = epochs.index(2)
    assert held[replaced - 1] == held[replaced] == 6  # old and new ones, on both sides of it
    assert held[-1] == 3


def test_what_a_part_that_cannot_be_written_costs(turns):
    found, folder = turns
    (said,) = found["failure"]["said"]
    assert "-2-of-3: cannot be written: Is a directory" in said
    assert said.endswith("checkpoint holds the factors after epoch 1; training goes on")
    assert found["failure"]["saved"] == 2
    assert found["failure"]["failed"]
    assert found["kept"] == [part.name for part in parts_of(folder / "in_parts" / "checkpoint")]


def test_parts_hold_each_row_once_in_its_storage(path):
    tensors, facts = read_tensors(path, FORMAT)
    assert facts["format_version"] == 3
    assert facts["side"] == "users"
    assert not any(name.startswith("state.users.rows") for name in tensors)
    parts = [read_tensors(part, checkpoint_parts.FORMAT)[0] for part in parts_of(path)]
    ranges = np.concatenate([part[RANGES] for part in parts])
    assert np.diff(ranges).sum() == 300
    assert len(ranges) > 3
    storages = {name for part in parts for name in part if name.startswith("state")}
    assert storages == {"state.users.rows.float16", "state.users.rows.int8-32"}
    progress, _ = load_checkpoint(path)
    assert progress.best is not None
    assert [record.epoch for record in progress.records] == [0, 1]


def flip(path, at=-1):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def lose(path):
    parts_of(path)[1].unlink()


def lose_all(path):
    shutil.rmtree(folder_of(path))


def file_for_folder(path):
    lose_all(path)
    folder_of(path).touch()


def folder_for_part(path):
    part = parts_of(path)[1]
    part.unlink()
    part.mkdir()


def cut(path):
    part = parts_of(path)[1]
    part.write_bytes(part.read_bytes()[:-7])


def empty(path):
    parts_of(path)[1].write_bytes(b"")


def another_part(path):
    shutil.copy(parts_of(path)[0], parts_of(path)[1])


def another_kind(path):
    shutil.copy(path, parts_of(path)[1])


def another_epoch(path, earlier):
    for part, old in zip(parts_of(path), parts_of(earlier), strict=True):
        shutil.copy(old, part)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lose, "its part .*-2-of-3 is missing"),
        (lose_all, "its part .*-1-of-3 is missing"),
        (file_for_folder, "its part .*-1-of-3 is missing"),
        (folder_for_part, "its part .*-2-of-3 is missing"),
        (cut, "-2-of-3: cut, damaged or not a checkpoint part file"),
        (empty, "-2-of-3: cut, damaged or not a checkpoint part file"),
        (lambda path: flip(parts_of(path)[1]), "-2-of-3: the content does not match its checksum"),
        (lambda path: flip(parts_of(path)[1], 100), "-2-of-3: "),
        (another_part, "-2-of-3: of another epoch or training"),
        (another_kind, "-2-of-3: a safetensors file, but not a mascot-jax checkpoint part"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_damage_to_a_part_is_named_with_what_to_do(path, damage, words):
    damage(path)
    with pytest.raises(CheckpointError, match=words) as caught:
        load_checkpoint(path)
    copies = f"put it back from a copy of {path} and {folder_of(path)}"
    assert f": {copies}, or remove {path} to start from the beginning" in str(caught.value)


def test_parts_of_another_epoch_are_refused(turns, path):
    another_epoch(path, turns[1] / "earlier" / "checkpoint")
    with pytest.raises(CheckpointError, match="-1-of-3: of another epoch or training"):
        load_checkpoint(path)


def test_every_bit_of_the_file_that_names_them_counts(path):
    whole = path.read_bytes()
    for at in range(0, len(whole), max(1, len(whole) // 20)):
        flip(path, at)
        with pytest.raises(CheckpointError):
            load_checkpoint(path)
        path.write_bytes(whole)


def test_to_remove_the_file_is_to_start_from_the_beginning(path):
    lose(path)
    path.unlink()
    checkpoints = Checkpoints(path, 1, {"settings": {}})
    assert checkpoints.load() is None
    remove_checkpoint(path)
    assert list(path.parent.iterdir()) == []


def test_only_parts_are_removed(path):
    folder = folder_of(path)
    (folder / "notes.txt").touch()
    (folder / f".{parts_of(path)[0].name}.abc_12.tmp").mkdir()
    keep = parts_of(path)[1].name
    remove_parts(path, {keep})
    assert sorted(name.name for name in folder.iterdir()) == [keep, "notes.txt"]


def change(path, number, edit):
    """Edit the tensors of a part and of the file, digests being right again."""
    tensors, facts = read_tensors(path, FORMAT)
    part, _ = read_tensors(parts_of(path)[number], checkpoint_parts.FORMAT)
    edit(part, tensors, facts)
    name = parts_of(path)[number].name
    digest = write_part(path, name, part)
    facts["parts"] = [[n, digest if n == name else d] for n, d in facts["parts"]]
    write_tensors(path, FORMAT, tensors, facts)


def most_of(part):
    """The storage that has most of a part's rows."""
    return max((n for n in part if n.startswith("state")), key=lambda n: len(part[n]))


def one_row_less(part, *_):
    part[most_of(part)] = part[most_of(part)][:-1]


def another_dtype(part, *_):
    part[most_of(part)] = part[most_of(part)].astype(np.float64)


def another_width(part, *_):
    part[most_of(part)] = part[most_of(part)][:, :-1]


def no_storage(part, *_):
    del part[most_of(part)]


def unknown(part, *_):
    part["state.users.rows.int9"] = np.zeros((3, 3), np.uint8)


def shared_range(part, *_):
    part[RANGES] = np.array([[0, 300]], np.uint32)


def past_the_end(part, *_):
    part[RANGES][-1, 1] += 1000


def falling(part, *_):
    part[RANGES] = part[RANGES][::-1].copy()


def signed(part, *_):
    part[RANGES] = part[RANGES].astype(np.int64)


def no_ranges(part, *_):
    del part[RANGES]


def another_side(_, tensors, facts):
    facts["side"] = "items"


def billions(part, tensors, _):
    for name in ("state", "best"):
        tensors[f"{name}.users.starts"][-1] = 2**32 - 1


def no_groups(part, tensors, _):
    del tensors["state.users.codes"]


def no_such_codes(part, tensors, _):
    tensors["state.users.codes"][:] = 77


@pytest.mark.parametrize(
    "edit",
    [
        one_row_less, another_dtype, another_width, no_storage, unknown, shared_range,
        past_the_end, falling, signed, no_ranges, another_side, billions, no_groups, no_such_codes,
    ],
)  # fmt: skip
def test_contents_that_do_not_fit_together_are_refused(path, edit):
    change(path, 1, lambda *_: None)
    load_checkpoint(path)
    change(path, 1, edit)
    with pytest.raises(CheckpointError, match="not a complete checkpoint"):
        load_checkpoint(path)


@pytest.mark.parametrize("drop", ["a part", "all parts", "name"])
def test_a_file_that_names_too_few_parts_is_refused(path, drop):
    tensors, facts = read_tensors(path, FORMAT)
    kept = {"a part": facts["parts"][1:], "all parts": [], "name": [["../\ud800", "0"]]}
    write_tensors(path, FORMAT, tensors, facts | {"parts": kept[drop]})
    with pytest.raises(CheckpointError, match=r"do not hold each row|ud800 is no name"):
        load_checkpoint(path)


def test_inspect_shows_it(path, capsys):
    assert main(["inspect", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["epochs_done"], found["epochs"], found["format_version"]) == (2, 6, 3)
    assert found["checkpoint"] == str(path)
    parts = [[part["file"], part["bytes"]] for part in found["parts"]]
    assert parts == [[str(part), part.stat().st_size] for part in parts_of(path)]
    assert sum(storage["rows"] for storage in found["users"]["storages"]) == 300
    assert main(["inspect", str(path)]) == 0
    out = capsys.readouterr().out
    assert "parts, one of each process" in out
    assert str(parts_of(path)[2]) in out
    assert main(["inspect", str(parts_of(path)[0])]) == 1
    assert "a part of a checkpoint of several processes" in capsys.readouterr().err
    lose(path)
    assert main(["inspect", str(path)]) == 1
    assert "is missing" in capsys.readouterr().err
