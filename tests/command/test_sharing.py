"""``mascot train`` by several processes: one result, one end."""

import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mascot_jax import MatrixFactorization
from mascot_jax.distributed import join
from mascot_jax.errors import ProcessError
from tests.support.ports import free_port

LONG = (
    *("--factors", "8", "--epochs", "150", "--threads", "1", "--checkpoint-every", "1"),
    *("--patience", "150"),  # too patient to stop, but it keeps the best state
)
FIT = """
import sys
import jax
import numpy as np
from mascot_jax import MatrixFactorization

jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]), cluster_detection_method="deactivate")
rng = np.random.default_rng(int(sys.argv[3]))
ratings = np.stack([rng.integers(0, n, 2000) for n in (60, 40, 6)], axis=1)
model = MatrixFactorization(factors=8, epochs=3, distributed=True, threads=1)
print(float(model.fit(tuple(ratings.T)).user_factors_.sum()))
"""


def start(count, *argv):
    """So many processes with these arguments of ``mascot``."""
    place = ("--coordinator", f"127.0.0.1:{free_port()}", "--processes", str(count))
    return [
        subprocess.Popen(
            [sys.executable, "-m", "mascot_jax", *map(str, argv), *place, "--rank", str(rank)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_signal_to_one_stops_all_and_another_number_goes_on(made, tmp_path, mascot):
    whole, model = tmp_path / "whole", tmp_path / "model"
    ratings = made / "ratings.csv"
    first, second = start(2, "train", ratings, "-o", model, *LONG, "--json")
    begun = json.loads(first.stdout.readline())  # JSON only, though gloo says that it has connected
    assert (begun["event"], begun["epoch"]) == ("epoch", 0)
    second.send_signal(signal.SIGTERM)
    (out, _), (silent, said) = first.communicate(), second.communicate()
    assert (first.returncode, second.returncode, silent) == (143, 143, "")
    assert "stopping after this epoch" in said
    last = json.loads(out.splitlines()[-1])
    assert last["interrupted"]
    assert last["epochs_trained"] < 150
    assert last["checkpoint"] == f"{model}.checkpoint"
    assert mascot("train", ratings, "-o", model, *LONG, "--resume")[0] == 0
    assert mascot("train", ratings, "-o", whole, *LONG)[0] == 0
    assert digest(model) == digest(whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "whole"]


SHORT = ("--factors", "8", "--epochs", "4", "--threads", "1")
MEASURED = ("--warmup", "0", "--period", "1", "--sample-ratio", "0.5", "--threshold", "0.01")


@pytest.mark.hardening
@pytest.mark.parametrize(
    "options",
    [
        ("--method", "fp32", "--order", "shuffled"),
        ("--method", "fp16", "--rotations", "2"),
        ("--method", "mascot", *MEASURED),
        ("--method", "mascot-int8", *MEASURED, "--rotations", "2"),
    ],
    ids=lambda options: f"{options[1]}, {options[-2]}",
)
def test_four_processes_leave_the_bytes_of_one(made, tmp_path, mascot, options):
    argv = ("train", made / "ratings.csv", *SHORT, *options, "-o")
    assert mascot(*argv, tmp_path / "alone")[0] == 0
    for count in (2, 3, 4):
        processes = start(count, *argv, tmp_path / f"by {count}")
        said = [process.communicate(timeout=100) for process in processes]
        assert [process.returncode for process in processes] == [0] * count, said
    assert len({digest(path) for path in tmp_path.iterdir()}) == 1
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.hardening
def test_only_the_first_process_warns(made, tmp_path):
    ratings = tmp_path / "alike.csv"
    lines = (made / "ratings.csv").read_text().splitlines()
    rows = [[*line.split(",")[:2], "3", *line.split(",")[3:]] for line in lines[1:]]
    ratings.write_text("\n".join([lines[0], *map(",".join, rows)]))
    processes = start(3, "train", ratings, "-o", tmp_path / "model", *SHORT)
    said = [process.communicate(timeout=100)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 3, said
    assert ["ratings are 3: such values" in text for text in said] == [True, False, False]
    assert not any("mascot:" in text for text in said[1:])


@pytest.mark.hardening
def test_killed_at_any_moment_and_resumed_by_any_number(made, tmp_path, mascot):
    ratings, whole, model = made / "ratings.csv", tmp_path / "whole", tmp_path / "model"
    assert mascot("train", ratings, "-o", whole, *LONG)[0] == 0
    rng, kills, done = random.Random(0), 0, False
    while not done:
        argv = ("train", ratings, "-o", model, *LONG, "--resume", "--json")
        processes = start(rng.choice([2, 3]), *argv)
        for _ in range(rng.randint(1, 12)):  # epochs; then at any moment of the next one
            processes[0].stdout.readline()
        if kills < 20:
            rng.choice(processes).kill()
        said = [process.communicate(timeout=100) for process in processes]
        codes = [process.returncode for process in processes]
        done = codes == [0] * len(codes)
        kills += not done
        assert done or 0 not in codes, (codes, said)
    assert kills > 5
    assert digest(model) == digest(whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "whole"]


@pytest.mark.hardening
def test_a_killed_process_ends_the_others_with_a_sentence(made, tmp_path):
    for killed in (0, 1):
        model = tmp_path / f"model{killed}"
        processes = start(2, "train", made / "ratings.csv", "-o", model, *LONG, "--json")
        processes[0].stdout.readline()
        processes[killed].kill()
        other = processes[1 - killed]
        _, said = other.communicate(timeout=60)
        processes[killed].communicate()
        assert other.returncode == 1
        assert "mascot: another process of this training has ended" in said
        assert "Traceback" not in said


@pytest.mark.hardening
def test_processes_that_are_not_alike_are_told_apart(made, tmp_path):
    place = ("--coordinator", f"127.0.0.1:{free_port()}", "--processes", "2")
    base = [sys.executable, "-m", "mascot_jax", "train", str(made / "ratings.csv"), *LONG, *place]
    said = []
    processes = [
        subprocess.Popen(
            [*base, "--rank", str(rank), "--seed", str(rank), "-o", str(tmp_path / "model")],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=100)[1] for process in processes]
    assert [process.returncode for process in processes] == [1, 1]
    for text in said:
        assert "settings of process 1 differ from those of process 0" in text


def in_folders_of_their_own(tmp_path, *argv):
    """Exit codes and last words of two processes that write to a relative path."""
    place = ("--coordinator", f"127.0.0.1:{free_port()}", "--processes", "2")
    processes = []
    for rank in ("0", "1"):
        (tmp_path / rank).mkdir(exist_ok=True)
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "mascot_jax", *map(str, argv), *place, "--rank", rank],
                cwd=tmp_path / rank,
                env=os.environ | {"PYTHONPATH": str(Path.cwd())},
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    said = [process.communicate(timeout=100)[1] for process in processes]
    return [process.returncode for process in processes], said


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.hardening
def test_processes_without_a_shared_folder_say_so_before_the_first_epoch(made, tmp_path):
    argv = ("train", made / "ratings.csv", "-o", "model", *SHORT)
    codes, said = in_folders_of_their_own(tmp_path, *argv)
    assert codes == [1, 1], said
    for text in said:
        assert "model.checkpoint: not every process sees what the others write there" in text
        assert "set --checkpoint-every to null" in text
        assert "Traceback" not in text
    assert (names(tmp_path / "0"), names(tmp_path / "1")) == ([], [])
    codes, said = in_folders_of_their_own(tmp_path, *argv, "--checkpoint-every", "null")
    assert codes == [0, 0], said
    assert (names(tmp_path / "0"), names(tmp_path / "1")) == (["model"], [])


@pytest.mark.hardening
def test_a_checkpoint_that_one_process_does_not_see_is_no_hang(made, tmp_path):
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "model.checkpoint").write_bytes(b"damaged")
    argv = ("train", made / "ratings.csv", "-o", "model", *SHORT, "--checkpoint-every", "null")
    codes, said = in_folders_of_their_own(tmp_path, *argv, "--resume")
    assert codes == [1, 1], said
    assert all("not every process finds the same checkpoint" in text for text in said), said


UNLIKE = """
import sys
import jax
import numpy as np
from mascot_jax import MatrixFactorization

rank, how, path = int(sys.argv[2]), sys.argv[3], sys.argv[4]
jax.distributed.initialize(sys.argv[1], 2, rank, cluster_detection_method="deactivate")
rng = np.random.default_rng(0)
ratings = tuple(rng.integers(0, n, 500) for n in (20, 10, 6))
settings = {"factors": 8, "epochs": 2, "threads": 1, "recipe": "paper", "biases": False}
init = MatrixFactorization(**settings, seed=rank).fit(ratings) if how == "origin" else None
keep = path if how == "checkpoints" and rank == 0 else None
MatrixFactorization(**settings, distributed=True).fit(ratings, init=init, checkpoint=keep)
"""


@pytest.mark.hardening
@pytest.mark.parametrize("what", ["origin", "checkpoints"])
def test_other_initial_models_and_checkpoints_are_not_alike(tmp_path, what):
    address = f"127.0.0.1:{free_port()}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", UNLIKE, address, str(rank), what, str(tmp_path / "kept")],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=100)[1] for process in processes]
    assert [process.returncode for process in processes] == [1, 1]
    assert all(f"must be alike: {what}" in text for text in said), said


@pytest.mark.hardening
def test_the_library_joins_what_the_user_initialised():
    address = f"127.0.0.1:{free_port()}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", FIT, address, str(rank), "0"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    found = {process.communicate(timeout=100)[0].splitlines()[-1] for process in processes}
    rng = np.random.default_rng(0)
    ratings = np.stack([rng.integers(0, n, 2000) for n in (60, 40, 6)], axis=1)
    model = MatrixFactorization(factors=8, epochs=3).fit(tuple(ratings.T))
    assert found == {str(float(model.user_factors_.sum()))}


def test_fit_says_what_to_initialise():
    with pytest.raises(ProcessError, match=r"call jax\.distributed\.initialize\(\)"):
        MatrixFactorization(factors=4, distributed=True).fit(([1, 2], [2, 2], [3, 4]))


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--rank", "1"], 2, "--coordinator, --processes not given"),
        (["--coordinator", "h:1", "--processes", "2", "--rank", "2"], 2, "must be from 0 to 1"),
        (["--coordinator", "h", "--processes", "2", "--rank", "1"], 2, "HOST:PORT"),
        (["--coordinator", "h:1", "--processes", "0", "--rank", "0"], 2, "at least 1"),
    ],
)
def test_what_is_no_place_is_refused(made, tmp_path, mascot, options, code, words):
    got, _, err = mascot("train", made / "ratings.csv", "-o", tmp_path / "m", *options)
    assert got == code
    assert words in err


def test_what_cannot_be_shared_is_refused_without_the_others(made, tmp_path, mascot):
    alone = ("--coordinator", f"127.0.0.1:{free_port()}", "--processes", "2", "--rank", "0")
    argv = ("train", made / "ratings.csv", "-o", tmp_path / "m", *alone, "--order", "group-blocks")
    code, _, err = mascot(*argv)
    assert (code, "cannot share --order group-blocks" in err) == (2, True)
    code, _, err = mascot(*argv[:-2], "--backend", "cuda")
    assert (code, "--rotations: not set: GPUs that share" in err) == (2, True), err


@pytest.mark.hardening
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "start them by a launcher"),
        (("--backend", "cuda", "--rotations", "2"), "the cuda back end cannot be used: "),
    ],
    ids=["processes", "GPUs"],
)
def test_without_a_launcher_it_says_how_to_start(options, words):
    argv = ["train", "ratings.csv", "-o", "model", "--distributed", *options]
    result = subprocess.run(
        [sys.executable, "-m", "mascot_jax", *argv],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert words in result.stderr


def test_a_port_in_use_and_a_first_process_that_is_not_there(monkeypatch):
    monkeypatch.setattr(join, "PATIENCE", 0)
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ProcessError, match="the port is in use on this host"):
            join.join(join.Place(address, 2, 0))
    with pytest.raises(ProcessError, match="cannot be reached after 0 s"):
        join.join(join.Place(address, 2, 1))


TORCHRUN = {"MASTER_ADDR": "node1", "MASTER_PORT": "29500", "WORLD_SIZE": "4", "RANK": "3"}


def test_torchruns_variables_are_a_place():
    assert join.place_of(TORCHRUN) == ("node1:29500", 4, 3, None)
    held = TORCHRUN | {"TORCHELASTIC_USE_AGENT_STORE": "True"}
    assert join.place_of(held) == ("node1:29501", 4, 3, None)
    assert join.place_of({name: TORCHRUN[name] for name in ("MASTER_ADDR", "RANK")}) is None
    with pytest.raises(ProcessError, match="MASTER_PORT=x"):
        join.place_of(TORCHRUN | {"MASTER_PORT": "x"})


def test_of_several_processes_on_a_host_each_has_a_gpu():
    local = {"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    assert join.place_of(TORCHRUN | local).gpu == 1
    alone = {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    assert join.place_of(TORCHRUN | alone).gpu is None  # all that it sees
    with pytest.raises(ProcessError, match="LOCAL_RANK=x, LOCAL_WORLD_SIZE=2"):
        join.place_of(TORCHRUN | local | {"LOCAL_RANK": "x"})
