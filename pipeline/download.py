"""Stage ``download``: the ratings of a data set, with their original ids, in one Parquet file."""

from __future__ import annotations

from mascot_jax.base.files import atomic_write
from mascot_jax.data.load import load_ratings
from mascot_jax.settings import DataSettings, Params
from pipeline.common import paths
from pipeline.common.stage import run_stage


def download(params: Params) -> None:
    """Fetch, or generate, and read the ratings."""
    download_into(paths.DATA, params.data)


def download_into(folder: paths.DataFolder, settings: DataSettings) -> None:
    """Do so for a data set that is kept there."""
    raw = load_ratings(settings)
    folder.raw.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder.raw) as temporary:
        raw.frame.write_parquet(temporary)
    paths.write_json(folder.facts, raw.facts)


if __name__ == "__main__":
    run_stage(download)
