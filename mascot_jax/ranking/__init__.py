"""Best items and nearest rows, from arrays alone."""

from mascot_jax.ranking.metrics import RankingMetrics, ranking_metrics
from mascot_jax.ranking.pairs import Pairs
from mascot_jax.ranking.similar import similar
from mascot_jax.ranking.top_n import TopN, top_n

__all__ = ["Pairs", "RankingMetrics", "TopN", "ranking_metrics", "similar", "top_n"]
