"""Best items and nearest rows, from arrays alone."""

from mascot_jax.ranking.metrics import (
    RankingMetrics,
    SampledMetrics,
    ranking_metrics,
    sampled_metrics,
)
from mascot_jax.ranking.pairs import Pairs
from mascot_jax.ranking.similar import similar
from mascot_jax.ranking.top_n import TopN, top_n

__all__ = [
    "Pairs",
    "RankingMetrics",
    "SampledMetrics",
    "TopN",
    "ranking_metrics",
    "sampled_metrics",
    "similar",
    "top_n",
]
