"""Stage ``download``: the ratings of a data set, with their original ids, in one Parquet file."""

from __future__ import annotations

from mascot_jax.data.load import load_ratings
from mascot_jax.files import atomic_write
from mascot_jax.settings import Params
from pipeline import paths
from pipeline.stage import run_stage


def download(params: Params) -> None:
    """Fetch, or generate, and read the ratings."""
    raw = load_ratings(params.data)
    paths.RAW.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(paths.RAW) as temporary:
        raw.frame.write_parquet(temporary)
    paths.write_json(paths.RAW_FACTS, raw.facts)


if __name__ == "__main__":
    run_stage(download)
