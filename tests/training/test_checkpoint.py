import subprocess
import sys

import jax
import numpy as np
import pytest

from mascot_jax.base.tensor_file import read_tensors, write_tensors
from mascot_jax.errors import CheckpointError, DivergenceError, SaveError
from mascot_jax.mf.model_file import load_model, save_model
from mascot_jax.mf.train import train_model
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.training.checkpoint import (
    FORMAT,
    Checkpoints,
    CheckpointWarning,
    load_checkpoint,
    save_checkpoint,
)
from mascot_jax.training.fingerprint import fingerprint
from mascot_jax.training.loop import train_state
from mascot_jax.training.records import Progress
from mascot_jax.training.scoring import HeldOut
from tests.base.test_files import files_of_at_most
from tests.support.worlds import ONE, live_rows, prepared
from tests.training.test_problem import OVERFITTED, noisy
from tests.training.test_training import pointers

TRAININGS = {
    "fp32": {"method": "fp32", "factors": 13},
    "mascot": {"method": "mascot", "threshold": 0.7, "sample_ratio": 1.0, "warmup": 2, "period": 2},
    "mascot-int8": {"method": "mascot-int8", "factors": 40, "sample_ratio": 1.0, "warmup": 3},
    "patience": {"method": "fp32", "epochs": 40, "patience": 3, **OVERFITTED},
    "biases": {"rounding": "stochastic", "biases": True, "validation": 0.1},
    "project": {
        "method": "mascot",
        "rounding": "stochastic",
        "factors": 40,
        "threshold": 0.7,
        "sample_ratio": 1.0,
        "warmup": 1,
        "period": 3,
        "pruning": {"method": "project", "factors": 16, "epoch": 5},
    },
    "project, the best epoch before": {
        "method": "fp32",
        "factors": 24,
        "patience": 4,
        "pruning": {"method": "project", "factors": 20, "epoch": 5},
        **OVERFITTED,
    },
    "early-exit": {
        "method": "mascot",
        "factors": 24,
        "sample_ratio": 1.0,
        "warmup": 2,
        "pruning": {"method": "early-exit", "rate": 0.2, "epoch": 5},
    },
    "muppet": {"method": "muppet"},
    "afp": {"method": "afp", "comparators": {"afp": {"threshold": 1e-9}}},
}


class Training:
    """A deterministic training of a small world, with checkpoints in a folder."""

    def __init__(self, folder, name="mascot", every=2, **values):
        values = {"factors": 8, "epochs": 12, "learning_rate": 0.05} | TRAININGS[name] | values
        settings = validate(TrainSettings, {"deterministic": True} | values)
        ratings, users, items = noisy()
        test = tuple(column[:50] for column in ratings.host())
        self.prepared = prepared(ratings, users, items, settings, test=test)
        self.path = folder / "checkpoint.safetensors"
        self.every = every
        self.records = []

    def checkpoints(self):
        return Checkpoints(self.path, self.every, fingerprint(self.prepared))

    def run(self, until=None, checkpoints=None):
        """Train, from the checkpoint if there is one; stop after that many epochs."""
        start = checkpoints.load() if checkpoints else None
        self.records = list(start.records) if start else []

        def on_epoch(record, _):
            self.records.append(record)
            return record.epoch + 1 == until

        return train_model(self.prepared, ONE, on_epoch, start=start, checkpoints=checkpoints)

    def from_the_start(self, on_epoch=None):
        return train_state(self.prepared, ONE, on_epoch, checkpoints=self.checkpoints())


def file_bytes(model, folder):
    save_model(model, folder / "model")
    return (folder / "model").read_bytes()


def assert_same_records(some, others):
    """But for the seconds."""
    some, others = ([r._replace(seconds=0) for r in records] for records in (some, others))
    assert len(some) == len(others)
    for a, b in zip(jax.tree.leaves(some), jax.tree.leaves(others), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_in_parts_ends_in_the_bytes_and_records_of_one_in_one_go(tmp_path, name):
    whole = Training(tmp_path, name)
    wanted = file_bytes(whole.run(), tmp_path)
    parts = Training(tmp_path, name, every=100)
    for until in (1, 4, 5):
        parts.run(until, parts.checkpoints())
        assert load_checkpoint(parts.path)[0].state.epoch == until
    assert file_bytes(parts.run(None, parts.checkpoints()), tmp_path) == wanted
    assert_same_records(parts.records, whole.records)
    assert {None} != {r.test_rmse for r in whole.records}
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_these_trainings_do_switch_and_stop_early(tmp_path):
    traffic = {name: Training(tmp_path, name).run().traffic for name in ("mascot", "mascot-int8")}
    assert set(traffic["mascot"]) == {"float16", "float32"}
    assert set(traffic["mascot-int8"]) == {"int8-32", "float16"}
    stopped = Training(tmp_path, "patience")
    assert stopped.run().epochs_trained < len(stopped.records) < stopped.prepared.plan.epochs
    assert Training(tmp_path, "project").run().factors == 16
    early = Training(tmp_path, "project, the best epoch before")
    assert early.run().factors == 24
    assert len(early.records) > 5


@pytest.mark.parametrize("name", ["mascot", "patience"])
def test_a_finished_training_has_nothing_left_to_do(tmp_path, name):
    training = Training(tmp_path, name)
    wanted = file_bytes(training.run(None, training.checkpoints()), tmp_path)
    before = training.path.read_bytes()
    assert file_bytes(training.run(None, training.checkpoints()), tmp_path) == wanted
    assert training.path.read_bytes() == before


def test_a_crash_goes_on_from_the_last_one(tmp_path):
    training = Training(tmp_path, every=3)

    def crash(record, _):
        if record.epoch == 7:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        training.from_the_start(crash)
    assert load_checkpoint(training.path)[0].state.epoch == 6


@pytest.mark.parametrize(
    ("where", "name"), [("on_epoch", "mascot"), ("os.fsync", "mascot"), ("on_epoch", "project")]
)
def test_killed_for_good_and_started_again(tmp_path, where, name):
    """SIGKILL between two checkpoints, and when the second is written but not in its place yet."""
    wanted = file_bytes(Training(tmp_path, name).run(), tmp_path)
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.training.test_checkpoint import Training\n"
        "def kill(*_): os.kill(os.getpid(), signal.SIGKILL)\n"
        "training = Training(Path(sys.argv[1]), sys.argv[3])\n"
        "def on_epoch(record, _):\n"
        "    if record.epoch == 5:\n"
        "        if sys.argv[2] == 'on_epoch': kill()\n"
        "        if sys.argv[2] == 'os.fsync': os.fsync = kill\n"
        "training.from_the_start(on_epoch)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, tmp_path, where, name], check=False)
    assert killed.returncode == -9
    training = Training(tmp_path, name)
    assert training.checkpoints().load().state.epoch == 4
    assert file_bytes(training.run(None, training.checkpoints()), tmp_path) == wanted
    assert not list(tmp_path.glob(".*"))


def test_a_state_comes_back_as_it_was(tmp_path):
    training = Training(tmp_path)
    state = training.from_the_start()
    save_checkpoint(training.path, Progress(state), fingerprint(training.prepared))
    (back, records, best), _ = load_checkpoint(training.path)
    assert (records, best) == ((), None)
    assert jax.tree.structure(state) == jax.tree.structure(back)
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(back), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        if a.ndim < 2:
            np.testing.assert_array_equal(a, b)
    for table, again in ((state.users, back.users), (state.items, back.items)):
        np.testing.assert_array_equal(live_rows(table), live_rows(again))


def test_tables_stay_where_they_are_when_a_checkpoint_is_written(tmp_path):
    """They would be copied each time if a view of one were alive."""
    seen = []
    training = Training(tmp_path, every=1)

    def on_epoch(_, state):
        seen.append(pointers(state))

    training.from_the_start(on_epoch)
    assert len(seen) == 12
    assert all(places == seen[0] for places in seen)


def test_equal_progress_gives_equal_bytes(tmp_path):
    training = Training(tmp_path, "patience")
    training.run(3, training.checkpoints())
    before = training.path.read_bytes()
    save_checkpoint(training.path, *load_checkpoint(training.path))
    assert training.path.read_bytes() == before


def test_no_file_is_no_progress(tmp_path):
    assert Training(tmp_path / "new").checkpoints().load() is None
    assert (tmp_path / "new").is_dir()
    assert list((tmp_path / "new").iterdir()) == []


def test_it_is_removed_when_no_longer_needed(tmp_path):
    training = Training(tmp_path)
    checkpoints = training.checkpoints()
    training.run(None, checkpoints)
    assert checkpoints.saved == 12
    checkpoints.remove()
    assert list(tmp_path.iterdir()) == []
    checkpoints.remove()


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"seed": 7}, ["train.seed: 0 there, 7 here"]),
        ({"epochs": 13, "user_reg": 0.5}, ["train.epochs: 12 there, 13 here", "train.user_reg"]),
        ({"validation": 0.5}, ["train.validation", "other ratings", "other validation ratings"]),
        ({"deterministic": False}, ["train.deterministic: True there, False here"]),
    ],
)
def test_that_of_another_training_is_refused(tmp_path, change, parts):
    training = Training(tmp_path)
    training.run(3, training.checkpoints())
    with pytest.raises(CheckpointError, match="a checkpoint of another training") as caught:
        Training(tmp_path, **change).checkpoints().load()
    for part in [str(training.path), *parts]:
        assert part in str(caught.value)


class TestFingerprint:
    def of(self, tmp_path, **values):
        return fingerprint(Training(tmp_path, **values).prepared)

    @pytest.mark.parametrize(
        "values",
        [
            {"deterministic": None},
            {"period": None},
            {"recipe": None},
        ],
    )  # fmt: skip
    def test_what_changes_no_bit_is_no_part(self, tmp_path, values):
        assert self.of(tmp_path, **values) == self.of(tmp_path)

    def test_what_is_compared_besides_settings(self, tmp_path):
        made = Training(tmp_path, "patience").prepared
        here = fingerprint(made)
        columns = [np.zeros(3, np.uint32), np.zeros(3, np.uint32), np.ones(3, np.float32)]
        other = HeldOut(*columns, made.rule)
        for name, change in {
            "mean or biases": {"rule": made.rule._replace(mean_rating=2.5)},
            "ratings": {"ratings": Training(tmp_path, "fp32").prepared.ratings},
            "validation ratings": {"validation": other},
            "test ratings": {"test": other},
            "groups": {"users": made.users._replace(visits=made.users.visits + 1)},
        }.items():
            assert fingerprint(made._replace(**change))[name] != here[name], name
        name = "origin of the factors"
        assert fingerprint(made, origin="a model")[name] != here[name]
        assert {"settings", "code"} < set(here)


@pytest.mark.parametrize("name", ["mascot", "patience"])
def test_a_damaged_one_is_refused(tmp_path, name):
    training = Training(tmp_path, name)
    training.run(3, training.checkpoints())
    whole = training.path.read_bytes()
    for at in (*range(0, len(whole), 997), len(whole) - 1):
        training.path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(CheckpointError):
            load_checkpoint(training.path)
        training.path.write_bytes(whole[:at])
        with pytest.raises(CheckpointError):
            load_checkpoint(training.path)


def test_another_kind_of_file_and_another_version_are_refused(tmp_path):
    training = Training(tmp_path)
    model = training.run(3, training.checkpoints())
    with pytest.raises(ValueError, match="not a mascot-jax model"):
        load_model(training.path)
    save_model(model, tmp_path / "model")
    with pytest.raises(CheckpointError, match="not a mascot-jax checkpoint"):
        load_checkpoint(tmp_path / "model")
    tensors, facts = read_tensors(training.path, FORMAT)
    for version, message in (
        (1, "checkpoint format 1 was written by .*, which is too old .*: go on with that one"),
        (4, "reads up to 3: upgrade mascot-jax"),
    ):
        write_tensors(training.path, FORMAT._replace(version=version), tensors, facts)
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(training.path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state.users.codes", np.array([0, 0, 0, 3], np.uint8)),
        ("state.users.codes", np.array([0, 0, 0, 2], np.uint8)),
        ("state.users.codes", np.array([0, 0, 0], np.uint8)),
        ("state.users.codes", np.zeros((4, 1), np.uint8)),
        ("state.users.codes", np.zeros(0, np.uint8)),
        ("state.users.codes", np.zeros(4, np.int64)),
        ("state.users.starts", np.array([0, 9, 9, 20, 60], np.uint32)),
        ("state.users.starts", np.array([1, 9, 19, 20, 60], np.uint32)),
        ("state.users.starts", np.array([0, 9, 19, 20, 2**32 - 1], np.uint32)),
        ("state.methods.switching.users", np.zeros(3, np.float32)),
        ("state.methods.switching.users", np.zeros(4, np.float16)),
        ("state.methods.switching.items", None),
        ("state.epoch", np.zeros(2, np.uint32)),
        ("state.seed", np.zeros(1, np.int64)),
        ("state.items.rows.float16", np.zeros((39, 8), np.float16)),
        ("state.items.rows.float16", np.zeros((40, 32), np.float16)),
        ("state.items.rows.float16", np.zeros((40, 8), np.uint16)),
        ("state.items.rows.int9", np.zeros((40, 8), np.float16)),
        ("state.items.codes", None),
        ("records.users.codes", np.zeros((1, 4), np.uint8)),
        ("records.epoch", None),
    ],
)
def test_content_that_does_not_fit_together_is_refused(tmp_path, name, value):
    """With the right digest: kernels trust group tables, so that these must be checked."""
    training = Training(tmp_path, threshold=1e9)
    training.run(3, training.checkpoints())
    tensors, facts = read_tensors(training.path, FORMAT)
    assert set(tensors["state.users.codes"]) == {1}
    assert name in tensors or "int9" in name
    if value is None:
        del tensors[name]
    else:
        tensors[name] = value
    write_tensors(training.path, FORMAT, tensors, facts)
    with pytest.raises(CheckpointError, match="not a complete checkpoint"):
        load_checkpoint(training.path)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("fp32", {"storage": "float16"}, r"state\.users: rows are in \['float32'\]"),
        ("mascot", {"criterion": None}, "'mascot': needs criterion, threshold"),
        ("mascot", {"biases": None}, "biases"),
    ],
)
def test_settings_that_do_not_fit_it_are_refused(tmp_path, name, settings, message):
    training = Training(tmp_path, name)
    training.run(1, training.checkpoints())
    tensors, facts = read_tensors(training.path, FORMAT)
    facts["fingerprint"]["settings"] |= settings
    write_tensors(training.path, FORMAT, tensors, facts)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(training.path)


def test_a_full_disk_stops_no_training_and_leaves_the_older_one(tmp_path):
    training = Training(tmp_path, factors=256)
    wanted = file_bytes(training.run(), tmp_path)
    checkpoints = training.checkpoints()
    training.run(4, checkpoints)
    older = training.path.read_bytes()
    again = training.checkpoints()
    with files_of_at_most(20_000), pytest.warns(CheckpointWarning, match="ulimit -f") as caught:
        model = training.run(None, again)
    text = str(caught[0].message)
    assert text.startswith(f"{training.path}: cannot be written: File too large: ")
    assert "holds the factors after epoch 3; training goes on" in text
    assert len(caught) == 4  # after 6, 8, 10 and 12 epochs
    assert {warning.filename for warning in caught} == {__file__}
    assert isinstance(again.failure, SaveError)
    assert training.path.read_bytes() == older
    assert file_bytes(model, tmp_path) == wanted
    assert file_bytes(training.run(None, again), tmp_path) == wanted
    assert again.failure is None


def test_a_place_that_cannot_be_written_to_is_refused_at_once(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SaveError, match=r"cannot be written: .*choose another place"):
        Training(tmp_path / "file" / "folder").checkpoints()


def test_divergence_leaves_the_last_one_and_says_so(tmp_path, monkeypatch):
    rates = np.array([0.05] * 5 + [1e9] * 7, np.float32)
    monkeypatch.setattr("mascot_jax.training.epoch._padded_rates", lambda _: rates)
    training = Training(tmp_path, "fp32")
    with pytest.raises(DivergenceError) as caught:
        training.run(None, training.checkpoints())
    message = str(caught.value)
    assert "diverged in epoch 5:" in message
    assert message.endswith(f"; {training.path} holds the factors after epoch 3")
    progress, _ = load_checkpoint(training.path)
    assert progress.state.epoch == 4
    assert np.isfinite(live_rows(progress.state.users)).all()
