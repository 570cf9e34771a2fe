import pytest

from studies.paper.report.__main__ import write
from tests.studies.made_up import write_results


@pytest.fixture(scope="session")
def quick(tmp_path_factory):
    """The folder of made-up results, and of their report."""
    folder = tmp_path_factory.mktemp("study") / "quick"
    write_results(folder, epochs=6)
    write(folder, folder / "report")
    return folder
