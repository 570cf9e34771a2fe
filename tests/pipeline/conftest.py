import pytest

from tests.pipeline.workspace import Workspace, clone_checkout


@pytest.fixture(scope="session")
def fresh(tmp_path_factory) -> Workspace:
    """A repository in which nothing has run yet; not to be changed."""
    return clone_checkout(tmp_path_factory.mktemp("fresh"), tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def reproduced(fresh, tmp_path_factory) -> Workspace:
    """A repository after ``dvc repro``, committed; not to be changed."""
    workspace = fresh.copy(tmp_path_factory.mktemp("reproduced") / "repository")
    workspace.dvc("repro")
    workspace.commit()
    return workspace


@pytest.fixture
def interrupt(workspace):
    """Have the stage send itself a signal after an epoch; called with none, no more."""
    path = workspace.path("pipeline/epoch_log.py")
    source = path.read_text(encoding="utf-8")
    line = "        self._live.next_step()\n"
    assert source.count(line) == 1

    def interrupt(number=None, epoch=7):
        send = f"        __import__('os').kill(__import__('os').getpid(), {int(number or 0)})\n"
        added = f"        if record.epoch == {epoch}:\n    {send}" if number else ""
        path.write_text(source.replace(line, line + added), encoding="utf-8")

    return interrupt


@pytest.fixture
def workspace(reproduced, tmp_path) -> Workspace:
    """The same, for one test to change."""
    return reproduced.copy(tmp_path / "repository")
