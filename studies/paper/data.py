"""Stage ``data``: the ratings of each data set of the profile, fetched and split.

As the pipeline's stages ``download`` and ``split`` do it, in folders of the study.
"""

from __future__ import annotations

from pipeline.download import download_into
from pipeline.split import split_folder
from studies.paper.core import folders
from studies.paper.core.entry import checked_study
from studies.paper.core.settings import Study


def prepare(study: Study) -> None:
    """Fetch, or generate, the ratings, and divide them into folds."""
    for data_set in study.chosen.sets:
        folder = folders.data(study.profile, data_set)
        download_into(folder, data_set.data)
        split_folder(folder, data_set.split)


if __name__ == "__main__":
    prepare(checked_study("data", prepare.__doc__))
