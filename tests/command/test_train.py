"""``mascot train``: what it reads, shows, saves; stopping and going on."""

import argparse
import fcntl
import gzip
import io
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from mascot_jax import MatrixFactorization
from mascot_jax.command import progress, tables
from mascot_jax.command.options import train_settings
from mascot_jax.mf.model_file import load_model
from mascot_jax.settings import TrainSettings, validate
from tests.command.conftest import ITEMS, SMALL, USERS

CHECKOUT = Path(__file__).parents[2]
CALL = "import sys; from mascot_jax.command.main import main; sys.exit(main(sys.argv[1:]))"


def test_defaults_are_the_estimators_but_for_the_held_out_share():
    estimators = MatrixFactorization()._settings()[0]
    commands = validate(TrainSettings, train_settings({}))
    assert estimators == commands.model_copy(update={"validation": 0.0})
    assert commands.validation == 0.1


def test_epochs_and_the_model_as_json(made, tmp_path, mascot_json):
    path = tmp_path / "model"
    *epochs, last = mascot_json("train", made / "ratings.csv", "-o", path, *SMALL)
    assert [e["epoch"] for e in epochs] == [0, 1, 2]
    for epoch in epochs:
        assert set(epoch) == {
            "event", "epoch", "epochs", "learning_rate", "seconds", "updates_per_second",
            "validation_rmse",
        }  # fmt: skip
        assert (epoch["event"], epoch["epochs"]) == ("epoch", 3)
        assert epoch["validation_rmse"] > 0
    assert last["event"] == "model"
    assert (last["users"], last["items"], last["ratings"]) == (USERS, ITEMS, 1300)
    assert last["validation_rmse"] == epochs[-1]["validation_rmse"]
    assert (last["interrupted"], last["checkpoint"]) == (False, None)
    model = load_model(path)
    assert model.settings.factors == 8
    assert model.settings.validation == 0.1
    assert list(tmp_path.iterdir()) == [path]


def test_for_people_it_says_what_the_model_was_trained_on(made, tmp_path, mascot):
    code, out, err = mascot("train", made / "ratings.csv", "-o", tmp_path / "model", *SMALL)
    assert (code, err) == (0, "")  # no bar: stderr is no terminal
    assert "60 users and 40 items from 1300 ratings, 3 epochs" in out
    assert "held-out 10% of the ratings, which the model was not trained on" in out


def test_without_validation_there_is_no_score(made, tmp_path, mascot_json):
    options = ("--validation", "0", *SMALL)
    *epochs, last = mascot_json("train", made / "ratings.csv", "-o", tmp_path / "model", *options)
    assert {e["validation_rmse"] for e in (*epochs, last)} == {None}


def rows(made):
    text = (made / "ratings.csv").read_text()
    return [line.split(",") for line in text.splitlines()[1:]]


def as_dat(made, path):
    lines = [f"{u}::{i}::{float(r):g}::978300760\n" for u, i, r in rows(made)]
    path.write_text("".join(lines))
    return path


def as_zip(made, path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(as_dat(made, path.with_suffix(".dat")), "ml-1m/ratings.dat")
        archive.writestr("ml-1m/users.dat", "1::F::1\n")
    return path


def as_member(made, path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(made / "ratings.csv", "set/train.csv")
        archive.write(made / "test.csv", "set/test.csv")
    return f"{path}:train.csv"


def as_semicolons(made, path):
    lines = [f"{u};{i};{r.replace('.', ',')}\r\n" for u, i, r in [("u", "i", "r"), *rows(made)]]
    path.write_text("".join(lines))
    return path


def as_gz(made, path):
    with gzip.open(path, "wb") as file:
        file.write((made / "ratings.csv").read_bytes())
    return path


@pytest.mark.parametrize(
    ("make", "name", "options"),
    [
        (as_dat, "ratings.dat", ()),
        (as_zip, "ml-1m.zip", ()),
        (as_zip, "ML-1M.zip", ()),
        (as_zip, "copy.zip", ()),
        (as_member, "parts.zip", ()),
        (as_semicolons, "R.TXT", ("--user", "u", "--item", "1", "--rating", "2")),
        (as_gz, "ratings.csv.gz", ()),
        (
            lambda made, _: made / "orders.parquet",
            "",
            ("--user", "customer", "--item", "article", "--rating", "stars"),
        ),
    ],
)
def test_every_format_gives_the_same_model(made, model, tmp_path, mascot, make, name, options):
    ratings = make(made, tmp_path / name)
    code, _, err = mascot("train", ratings, "-o", tmp_path / "model", *SMALL, *options)
    assert code == 0, err
    assert (tmp_path / "model").read_bytes() == model.read_bytes()


def test_ratings_from_standard_input_give_the_same_model(
    made, model, tmp_path, mascot, monkeypatch
):
    with (made / "ratings.csv").open("rb") as stream:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(stream))
        code, _, err = mascot("train", "-", "-o", tmp_path / "model", *SMALL)
    assert code == 0, err
    assert (tmp_path / "model").read_bytes() == model.read_bytes()


@pytest.mark.parametrize("name", ["ml-20m", "ml-latest-small", "ML-Latest"])
def test_movielens_archives_go_by_their_names(tmp_path, name):
    with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
        for other in ("tags", "genome-scores", "ratings"):
            text = "userId,movieId,rating,timestamp\n1,10,4.5,0\n" if other == "ratings" else "x\n"
            archive.writestr(f"{name}/{other}.csv", text)
    args = argparse.Namespace(user=None, item=None, rating=None, separator=None)
    frame = tables.read_ratings(args, str(tmp_path / f"{name}.zip"))
    assert frame.rows() == [(1, 10, 4.5)]


@pytest.mark.parametrize(
    ("options", "code", "parts"),
    [
        (("--factors", "0"), 2, ["--factors: 0", "greater than or equal to 1"]),
        (("--pruning-factors", "4"), 2, ["--pruning-method: missing"]),
        (
            ("--method", "mpt", "--pruning-method", "project", "--pruning-factors", "4"),
            2,
            ["leave --pruning-method null"],
        ),
        (
            ("--pruning-method", "project", "--pruning-factors", "8"),
            2,
            ["--pruning-factors: 8: must be below --factors, which is 8"],
        ),
        (("--validation", "1"), 2, ["--validation: 1.0", "less than 1"]),
        (("--validation", "0", "--patience", "3"), 2, ["--patience: 3", "set --validation"]),
        (
            ("--user", "customer"),
            1,
            [
                "column 'customer' (--user) is not there; separated by commas",
                "'rating'",
                "--separator",
            ],
        ),
        (("--separator", "ab"), 1, ["--separator: 'ab': must be tab, "]),
        (("--learning-rate", "1e6"), 1, ["diverged", "smaller --learning-rate"]),
    ],
)
def test_errors_name_options(made, tmp_path, mascot, options, code, parts):
    argv = ("train", made / "ratings.csv", "-o", tmp_path / "model", *SMALL, *options)
    found, out, err = mascot(*argv)
    assert (found, out) == (code, "")
    assert err.startswith("mascot: ")
    for part in parts:
        assert part in err
    assert not (tmp_path / "model").exists()


def test_a_wrong_setting_or_place_stops_before_any_work(tmp_path, mascot):
    code, _, err = mascot("train", tmp_path / "none.csv", "-o", tmp_path / "m", "--factors", "0")
    assert (code, "--factors" in err) == (2, True)
    (tmp_path / "file").touch()
    code, _, err = mascot("train", tmp_path / "none.csv", "-o", tmp_path / "file" / "m")
    assert (code, "its folder is a file: choose another place" in err) == (1, True)
    code, _, err = mascot("train", tmp_path / "none.csv", "-o", tmp_path / "m")
    assert (code, "none.csv: there is no such file" in err) == (1, True)


def test_without_polars_it_says_what_to_install(made, tmp_path, mascot, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    code, _, err = mascot("train", made / "ratings.csv", "-o", tmp_path / "model")
    assert code == 1
    assert "pip install 'mascot-jax[data]'" in err


@pytest.fixture
def interrupted_after(monkeypatch):
    """Have a signal come in the middle of an epoch's end, once, as if from outside."""

    def arrange(epoch, number=signal.SIGINT):
        add = progress.Display.add

        def add_then_signal(self, record):
            add(self, record)
            if record.epoch == epoch:
                os.kill(os.getpid(), number)

        monkeypatch.setattr(progress.Display, "add", add_then_signal)

    return arrange


def test_ctrl_c_saves_and_resume_ends_in_the_same_bytes(
    made, tmp_path, mascot, interrupted_after, monkeypatch
):
    train = ("train", made / "ratings.csv", "-o", tmp_path / "model", *SMALL)
    with monkeypatch.context():
        interrupted_after(0)
        code, out, err = mascot(*train)
    assert code == 130
    assert "1 epochs" in out
    assert (
        f"mascot: interrupted: the model so far is saved; --resume goes on from {tmp_path}" in err
    )
    assert load_model(tmp_path / "model").epochs_trained == 1
    monkeypatch.undo()

    code, out, _ = mascot(*train, "--resume", "--json")
    assert code == 0
    assert [json.loads(line).get("epoch") for line in out.splitlines()] == [1, 2, None]
    assert (tmp_path / "model").read_bytes() == (made / "model.safetensors").read_bytes()
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]


def test_a_polite_kill_is_143(made, tmp_path, mascot, interrupted_after):
    interrupted_after(1, signal.SIGTERM)
    argv = ("train", made / "ratings.csv", "-o", tmp_path / "model", *SMALL)
    code, out, _ = mascot(*argv, "--checkpoint-every", "null", "--json")
    assert code == 143
    last = json.loads(out.splitlines()[-1])
    assert (last["interrupted"], last["epochs_trained"], last["checkpoint"]) == (True, 2, None)
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]


def test_resume_refuses_the_checkpoint_of_another_training(
    made, tmp_path, mascot, interrupted_after
):
    train = ("train", made / "ratings.csv", "-o", tmp_path / "model", *SMALL)
    interrupted_after(0)
    assert mascot(*train)[0] == 130
    code, _, err = mascot(*train, "--seed", "1", "--resume")
    assert code == 1
    assert "--seed: 0 there, 1 here" in err


def test_resume_without_a_checkpoint_starts_anew(made, model, tmp_path, mascot):
    argv = ("train", made / "ratings.csv", "-o", tmp_path / "model", *SMALL, "--resume")
    assert mascot(*argv)[0] == 0
    assert (tmp_path / "model").read_bytes() == model.read_bytes()


@pytest.fixture
def taken(monkeypatch):
    """Have a folder, which no file can replace, take a name while training goes on."""

    def arrange(path):
        add = progress.Display.add

        def add_and_take_the_name(self, record):
            add(self, record)
            (path / "something").mkdir(parents=True, exist_ok=True)

        monkeypatch.setattr(progress.Display, "add", add_and_take_the_name)

    return arrange


def test_a_model_that_cannot_be_saved_is_in_the_checkpoint(
    made, model, tmp_path, mascot, taken, monkeypatch
):
    train = ("train", made / "ratings.csv", "-o", tmp_path / "model", *SMALL)
    taken(tmp_path / "model")
    code, _, err = mascot(*train)
    monkeypatch.undo()
    assert code == 1
    assert "model: cannot be written" in err
    assert "the same command with --resume saves it" in err
    (tmp_path / "model" / "something").rmdir()
    (tmp_path / "model").rmdir()
    code, out, _ = mascot(*train, "--resume", "--json")
    assert (code, len(out.splitlines())) == (0, 1)  # no epoch was left
    assert (tmp_path / "model").read_bytes() == model.read_bytes()


def test_a_checkpoint_that_cannot_be_written_is_a_line_and_no_end(
    made, model, tmp_path, mascot, taken
):
    taken(tmp_path / "model.checkpoint")
    code, _, err = mascot("train", made / "ratings.csv", "-o", tmp_path / "model", *SMALL)
    assert code == 0
    (line,) = err.splitlines()
    assert line.startswith("mascot: ")
    assert "model.checkpoint: cannot be written" in line
    assert "training goes on" in line
    assert (tmp_path / "model").read_bytes() == model.read_bytes()


def test_nothing_that_is_there_is_lost(made, tmp_path, mascot, monkeypatch):
    ratings = tmp_path / "ratings.csv"
    ratings.write_bytes((made / "ratings.csv").read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mascot_jax.command.train.read_values", None)  # nothing is begun
    for place in (ratings, f"{ratings}:member"):
        code, _, err = mascot("train", place, "-o", "ratings.csv", *SMALL)
        assert (code, f"is read from {str(place)!r}: name another file" in err) == (2, True)
    (tmp_path / "model.checkpoint").write_bytes(b"of hours")
    code, _, err = mascot("train", ratings, "-o", tmp_path / "model", *SMALL)
    assert (code, "--resume goes on from it; remove it to start anew" in err) == (2, True)
    (tmp_path / "folder").mkdir()
    code, _, err = mascot("train", ratings, "-o", tmp_path / "folder", *SMALL)
    assert (code, "Is a directory: name a file in it" in err) == (1, True)
    assert ratings.read_bytes() == (made / "ratings.csv").read_bytes()
    assert (tmp_path / "model.checkpoint").read_bytes() == b"of hours"


def test_a_reader_who_leaves_costs_no_model(made, model, tmp_path):
    argv = ["train", str(made / "ratings.csv"), "-o", str(tmp_path / "model"), *SMALL, "--json"]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", CALL, *argv],
        cwd=CHECKOUT, stdout=writing, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(writing)
    assert done.stderr == "mascot: training goes on, but prints no more: [Errno 32] Broken pipe\n"
    assert done.returncode == 0
    assert (tmp_path / "model").read_bytes() == model.read_bytes()


def test_a_terminal_gets_a_bar_and_ctrl_c_from_it_is_130(made, tmp_path):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    argv = ["train", str(made / "ratings.csv"), "-o", str(tmp_path / "model"), "--factors", "8"]
    process = subprocess.Popen(
        [sys.executable, "-c", CALL, *argv, "--epochs", "5000"],
        cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # a terminal's end that nobody writes to any more
        while part := os.read(ours, 4096):
            if b"updates/s" in part and b"updates/s" not in shown:
                process.send_signal(signal.SIGINT)
            shown += part
    out, _ = process.communicate()
    os.close(ours)
    assert process.returncode == 130, shown
    for part in (b"training:", b"RMSE ", b"stopping after this epoch", b"model so far is saved"):
        assert part in shown
    assert b"60 users" in out
    assert 1 <= load_model(tmp_path / "model").epochs_trained < 5000


def test_tables_are_read_with_their_own_names(made):
    args = argparse.Namespace(user="customer", item="article", rating="stars", separator=None)
    frame = tables.read_ratings(args, str(made / "orders.parquet"))
    assert frame.columns == ["user", "item", "rating"]
    assert np.isin(frame["user"].to_numpy(), np.arange(1, USERS + 1)).all()


def test_ratings_on_disk_make_the_same_model(made, tmp_path, mascot, mascot_json):
    here, there = tmp_path / "here", tmp_path / "there"
    scratch = ("--scratch", tmp_path / "scratch")
    *_, first = mascot_json("train", made / "ratings.csv", "-o", here, *SMALL)
    *_, second = mascot_json("train", made / "ratings.csv", "-o", there, *SMALL, *scratch)
    assert here.read_bytes() == there.read_bytes()
    assert (first["sha256"], first["ratings"]) == (second["sha256"], second["ratings"])
    assert list((tmp_path / "scratch").iterdir()) == []
    code, _, err = mascot("train", made / "none.csv", "-o", there, "--no-deterministic", *scratch)
    assert code == 2
    assert "--deterministic: False: needs all ratings in memory" in err
