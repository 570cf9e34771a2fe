import pytest

from mascot_jax.settings import DataSettings, SplitSettings, validate
from pipeline.common.paths import DataFolder
from pipeline.download import download_into
from pipeline.split import split_folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> DataFolder:
    """A small data set in two folds; not to be changed."""
    made = DataFolder(tmp_path_factory.mktemp("data"))
    shape = {"users": 60, "items": 40, "ratings": 1501}
    download_into(made, validate(DataSettings, shape))
    split_folder(made, SplitSettings(count=2))
    return made
