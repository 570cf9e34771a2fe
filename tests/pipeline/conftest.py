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
def workspace(reproduced, tmp_path) -> Workspace:
    """The same, for one test to change."""
    return reproduced.copy(tmp_path / "repository")
