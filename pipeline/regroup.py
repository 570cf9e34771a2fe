"""Stage ``regroup``: group the users and the items of a fold by its training ratings only."""

from __future__ import annotations

from mascot_jax.data.store import count_training_ratings
from mascot_jax.settings import Params
from mascot_jax.tables.groups import regroup as group_rows
from mascot_jax.tables.groups import save_groupings
from pipeline.common import paths
from pipeline.common.stage import run_fold_stage


def regroup(params: Params, fold: int) -> None:
    """Group users and items by their number of training ratings (Algorithm 1, line 1)."""
    user_counts, item_counts = count_training_ratings(paths.SPLIT, fold)
    path = paths.groups(fold)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_groupings(
        path,
        group_rows(user_counts, params.regroup.user_groups),
        group_rows(item_counts, params.regroup.item_groups),
    )


if __name__ == "__main__":
    run_fold_stage(regroup)
