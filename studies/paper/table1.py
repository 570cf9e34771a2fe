"""Table I and Fig. 5(a): how many users, items and ratings, and how unevenly these are spread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import count_each
from mascot_jax.data.store import read_fold
from pipeline.common.paths import read_json
from studies.paper.core.stage import Case, Rows, run_figure

POINTS: Final = 101
"""Of a curve of Fig. 5(a)."""


def measure(case: Case) -> Mapping[str, Rows]:
    """Count the ratings of each data set, of its users and of its items."""
    report = read_json(case.folder.report)
    users, items, ratings = (report[name] for name in ("users", "items", "ratings"))
    row = {
        "users": users,
        "items": items,
        "ratings": ratings,
        "sparsity": 1 - ratings / (users * items),
    }
    data = read_fold(case.folder.split, 0)
    user_counts = count_each(data.train_user, users) + count_each(data.test_user, users)
    item_counts = count_each(data.train_item, items) + count_each(data.test_item, items)
    points = [
        {"side": side, **point}
        for side, counts in (("users", user_counts), ("items", item_counts))
        for point in distribution(counts)
    ]
    return {"rows": [row], "distribution": points}


def distribution(counts: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Return a curve over the rows, most-rated first: ratings of the one at each share of them.

    Parameters
    ----------
    counts
        int64 ``(rows,)``: ratings of each.
    """
    ranked = np.sort(counts)[::-1]
    last = max(len(ranked) - 1, 1)
    places = np.unique(np.linspace(0, len(ranked) - 1, POINTS).round().astype(np.int64))
    return [{"share": float(at / last), "ratings": int(ranked[at])} for at in places]


if __name__ == "__main__":
    run_figure("table1", measure)
