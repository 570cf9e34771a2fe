"""Stage ``download``: write a data set's ratings, with original ids, to one Parquet file."""

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
    """Write the ratings and the facts of a data set to ``folder``."""
    raw = load_ratings(settings)
    folder.raw.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder.raw) as temporary:
        raw.frame.write_parquet(temporary)
    paths.write_json(folder.facts, raw.facts)


if __name__ == "__main__":
    run_stage(download)
