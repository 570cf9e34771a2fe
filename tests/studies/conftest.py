import pytest

from mascot_jax.settings import DataSettings, SplitSettings, validate
from pipeline.common.paths import DataFolder
from pipeline.download import download_into
from pipeline.split import split_folder
from studies.paper.report.__main__ import write
from tests.studies.made_up import write_results


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> DataFolder:
    """A small data set in two folds; not to be changed."""
    made = DataFolder(tmp_path_factory.mktemp("data"))
    shape = {"users": 60, "items": 40, "ratings": 1501}
    download_into(made, validate(DataSettings, shape))
    split_folder(made, SplitSettings(count=2))
    return made


@pytest.fixture(scope="session")
def quick(tmp_path_factory):
    """The folder of made-up results, and of their report."""
    folder = tmp_path_factory.mktemp("study") / "quick"
    write_results(folder, epochs=6)
    write(folder, folder / "report")
    return folder
