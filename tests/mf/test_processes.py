"""A model in other programs' processes: forked, spawned, behind a server that forks its workers."""

import json
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mascot_jax import MatrixFactorization
from mascot_jax.engine import devices
from mascot_jax.errors import BackendError
from tests.conftest import IN_CHECKOUT
from tests.support.documents import planted

ROOT = Path(__file__).parents[2]
STUCK = 120
"""Seconds after which a process that does not answer counts as stuck."""


@pytest.fixture(scope="module")
def ratings():
    return planted()


@pytest.fixture(scope="module")
def model(ratings):
    model = MatrixFactorization(factors=8, epochs=2).fit(ratings)
    model.recommend(1)
    return model


def serve(model, users):
    return [
        (
            model.recommend(user, n=3).items.tolist(),
            model.recommend(user, n=3, popularity=1.0, diversity=0.5).items.tolist(),
            model.predict(user, 101),
            model.similar_users(user, n=2).neighbours.tolist(),
            model.fold_in_user([101, 102], [5, 1]).recommend(2).items.tolist(),
        )
        for user in users
    ]


def train(ratings):
    try:
        MatrixFactorization(factors=8, epochs=1).fit(ratings)
    except BackendError as error:
        return str(error)
    return "trained"


def in_child(start, function, *arguments):
    """What a function returns in a child process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX and Python warn of forks
        with multiprocessing.get_context(start).Pool(1) as pool:
            return pool.apply_async(function, arguments).get(STUCK)


def use(model, path, users, ratings):
    return serve(model, users), serve(MatrixFactorization.load(path), users), train(ratings)


@pytest.mark.parametrize(
    ("start", "outcome"), [("fork", "spawn"), ("forkserver", "trained"), ("spawn", "trained")]
)
def test_a_model_works_in_a_child_however_it_starts(model, ratings, tmp_path, start, outcome):
    users, path = [1, 2, 60], tmp_path / "model"
    model.save(path)
    given, loaded, trained = in_child(start, use, model, path, users, ratings)
    assert given == loaded == serve(model, users)
    assert outcome in trained  # JAX does not live on in a fork of this process, which has trained


def test_a_grandchild_refuses_too(model, ratings):
    def in_grandchild():
        return in_child("fork", train, ratings)

    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        os.write(write, in_grandchild().encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        assert "spawn" in answer.read()
    os.waitpid(child, 0)


def test_a_child_of_a_process_that_has_only_served_trains(model, tmp_path):
    """In a program of its own: this one has trained."""
    model.save(tmp_path / "model")
    program = (
        "import os, sys\n"
        "from mascot_jax import MatrixFactorization\n"
        "model = MatrixFactorization.load('model')\n"
        "model.recommend(1), model.predict(1, 101), model.similar_items(101)\n"
        "model.recommend(1, min_ratings=2, popularity=1.0, diversity=0.5)\n"
        "model.evaluate(([1], [101], [5.0]), top_n=2, sampled=2)\n"
        "if os.fork() == 0:\n"
        "    model.set_params(epochs=1).partial_fit(([1], [101], [5.0]))\n"
        "    os._exit(7)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, timeout=STUCK, check=False)
    assert done.returncode == 7


def service(folder):
    """Write the service that the documentation shows."""
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL).group(1)
    assert len(code.splitlines()) <= 45
    (folder / "service.py").write_text(code)


@pytest.fixture
def server(model, tmp_path, request):
    """A preforking server's answers: a function of a page."""
    service(tmp_path)
    model.save(tmp_path / "model")
    listener = socket.create_server(("127.0.0.1", 0))
    command = ["-m", "gunicorn", "--workers", "2", "--no-control-socket", "service:app"]
    command += [f"--bind=fd://{listener.fileno()}", *request.param]
    environment = {**os.environ, "MODEL": str(tmp_path / "model"), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=tmp_path,
        env=environment,
        pass_fds=[listener.fileno()],
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        yield lambda page: json.load(urllib.request.urlopen(address + page, timeout=STUCK))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STUCK)
        listener.close()


def check_answers(server, model, requests):
    lists = {user: model.recommend(user, n=5) for user in model.user_ids_.tolist()}
    users = np.resize(list(lists), requests).tolist()
    with ThreadPoolExecutor(4) as pool:
        for user, answer in zip(
            users, pool.map(lambda user: server(f"/recommend?user={user}&n=5"), users), strict=True
        ):
            assert answer["items"] == lists[user].items.tolist()
            assert answer["scores"] == lists[user].scores.tolist()
    assert server("/predict?user=1&item=101")["rating"] == model.predict(1, 101)


PRELOADED = pytest.mark.parametrize("server", [["--preload"], []], indirect=True, ids=str)


@pytest.mark.skipif(not IN_CHECKOUT, reason="the service is in the documentation")
@PRELOADED
def test_a_preforking_server_answers(server, model):
    check_answers(server, model, 60)


@pytest.mark.hardening
@pytest.mark.skipif(not IN_CHECKOUT, reason="the service is in the documentation")
@PRELOADED
def test_a_preforking_server_answers_thousands(server, model):
    check_answers(server, model, 10_000)


def test_many_users_get_the_lists_of_each(model, monkeypatch):
    """By JAX, where it works."""
    each = [model.recommend(user, n=3).items.tolist() for user in model.user_ids_.tolist()]
    monkeypatch.setattr(devices, "MANY", 10)
    assert model.recommend(model.user_ids_, n=3).items.reshape(-1, 3).tolist() == each


def save_often(model, path, failures):
    try:
        for _ in range(20):
            model.save(path)
    except Exception as error:
        failures.append(error)


def save_in_child(model, path):
    failures = []
    save_often(model, path, failures)
    return [repr(error) for error in failures]


def test_processes_and_threads_save_to_one_path(model, tmp_path):
    path = tmp_path / "model"
    model.save(path)
    failures = []
    writer = threading.Thread(target=save_often, args=(model, path, failures))
    writer.start()
    failed_there = in_child("fork", save_in_child, model, path)
    while writer.is_alive():
        MatrixFactorization.load(path)
    writer.join()
    assert (failures, failed_there) == ([], [])
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]
