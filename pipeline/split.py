"""Stage ``split``: give every rating dense indices, a place in a seeded order, and a fold."""

from __future__ import annotations

from mascot_jax.base.files import atomic_write
from mascot_jax.data.split import report, split_ratings
from mascot_jax.data.store import write_split
from mascot_jax.settings import Params, SplitSettings
from pipeline.common import paths
from pipeline.common.stage import run_stage


def split(params: Params) -> None:
    """Divide the ratings into folds."""
    split_folder(paths.DATA, params.split)


def split_folder(folder: paths.DataFolder, settings: SplitSettings) -> None:
    """Divide the ratings of the data set in ``folder`` into folds."""
    facts = paths.read_json(folder.facts)
    result = split_ratings(folder.raw, settings)
    folder.split.parent.mkdir(parents=True, exist_ok=True)
    write_split(
        folder.split,
        user=result.user,
        item=result.item,
        rating=result.rating,
        fold=result.fold,
        count=settings.count,
        low=facts["low"],
        high=facts["high"],
    )
    for path, ids in ((folder.user_ids, result.user_ids), (folder.item_ids, result.item_ids)):
        with atomic_write(path) as temporary:
            ids.to_frame("id").write_parquet(temporary)
    paths.write_json(folder.report, report(result))


if __name__ == "__main__":
    run_stage(split)
