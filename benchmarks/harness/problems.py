"""Groups of what programs train on."""

from __future__ import annotations

from typing import Final

from mascot_jax.base.arrays import count_each
from mascot_jax.engine.ratings import Triples
from mascot_jax.settings import RegroupSettings
from mascot_jax.tables.groups import Grouping, regroup
from mascot_jax.training.problem import Problem

GROUPS: Final = RegroupSettings().user_groups
"""Of users, and of items, unless a program asks for others: as many as the pipeline makes."""


def groupings(
    ratings: Triples, users: int, items: int, groups: int = GROUPS
) -> tuple[Grouping, Grouping]:
    """Group so many users and items by their number of ratings."""
    user_groups, item_groups = (
        regroup(count_each(indices, count), groups)
        for indices, count in ((ratings[0], users), (ratings[1], items))
    )
    return user_groups, item_groups


def regrouped(problem: Problem, groups: int) -> Problem:
    """Return the problem in another number of groups; rows keep their places."""
    ratings = problem.ratings
    users, items = groupings(ratings.host(), ratings.user_count, ratings.item_count, groups)
    return problem._replace(
        users=users._replace(order=problem.users.order),
        items=items._replace(order=problem.items.order),
    )
