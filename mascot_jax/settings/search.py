"""Words for ways to split ratings and to search for settings."""

from __future__ import annotations

from typing import Final, Literal, get_args

How = Literal["random", "user", "last", "time"]
HOW: Final[tuple[str, ...]] = get_args(How)
"""Ways to choose test ratings (``train_test_split``)."""
Sampler = Literal["tpe", "random", "grid"]
SAMPLERS: Final[tuple[str, ...]] = get_args(Sampler)
"""Ways to propose settings (``tune``)."""
LOWER_IS_BETTER: Final = ("rmse", "mae")
"""Metrics to minimise."""
METRICS: Final = (
    *LOWER_IS_BETTER,
    "precision",
    "recall",
    "ndcg",
    "hit_rate",
    "reciprocal_rank",
    "coverage",
)
"""Metrics that a search can be for."""
TRIALS: Final = 20
"""Trials of a search that is not told how many."""
