"""Stage ``split``: dense indices, a seeded order and a fold for every rating."""

from __future__ import annotations

import polars as pl

from mascot_jax.data.split import report, split_ratings
from mascot_jax.data.store import write_split
from mascot_jax.files import atomic_write
from mascot_jax.settings import Params
from pipeline import paths
from pipeline.stage import run_stage


def split(params: Params) -> None:
    """Divide the ratings into folds."""
    facts = paths.read_json(paths.RAW_FACTS)
    result = split_ratings(pl.read_parquet(paths.RAW), params.split)
    paths.SPLIT.parent.mkdir(parents=True, exist_ok=True)
    write_split(
        paths.SPLIT,
        user=result.user,
        item=result.item,
        rating=result.rating,
        fold=result.fold,
        count=params.split.count,
        low=facts["low"],
        high=facts["high"],
    )
    for path, ids in ((paths.USER_IDS, result.user_ids), (paths.ITEM_IDS, result.item_ids)):
        with atomic_write(path) as temporary:
            ids.to_frame("id").write_parquet(temporary)
    paths.write_json(paths.SPLIT_REPORT, report(result))


if __name__ == "__main__":
    run_stage(split)
