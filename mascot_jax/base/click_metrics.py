"""Metrics of predicted clicks: accuracy, AUC, log loss, calibration."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class ClickMetrics(NamedTuple):
    """Metrics of logits; those that are not defined for the labels are None."""

    auc: float | None
    """Probability that a click has a higher logit than another impression, ties counting half; None
    if labels are all alike."""
    log_loss: float
    """Mean negative log likelihood, in nats."""
    accuracy: float
    """Share of impressions whose click has a probability above 1/2 if they were clicked, or at most
    1/2 if they were not."""
    calibration: float | None
    """Predicted clicks / clicks; None without clicks."""


def click_metrics(labels: NDArray[np.uint8], logits: NDArray[np.floating[Any]]) -> ClickMetrics:
    """Return the metrics of logits ``(n,)`` for labels 0 or 1, ``(n,)``; n is at least 1.

    Sums are in float64.
    """
    scores: NDArray[np.float64] = logits.astype(np.float64)
    clicks = int(labels.sum(dtype=np.int64))
    return ClickMetrics(
        auc=auc(labels, scores),
        log_loss=float(np.mean(np.logaddexp(0, scores) - labels * scores)),
        accuracy=float(np.mean((scores > 0) == (labels == 1))),
        calibration=float(sigmoid(scores).sum() / clicks) if clicks else None,
    )


def best_metrics(
    labels: NDArray[np.uint8], probability: NDArray[np.floating[Any]]
) -> dict[str, float | None]:
    """Return ``best_auc`` and ``best_log_loss``, which no model beats on average.

    ``probability`` ``(n,)`` is what the labels were drawn by.
    """
    planted = probability.astype(np.float64).clip(1e-12, 1 - 1e-12)
    best = click_metrics(labels, np.log(planted) - np.log1p(-planted))
    return {"best_auc": best.auc, "best_log_loss": best.log_loss}


def log_loss_of_mean(labels: NDArray[np.uint8]) -> float:
    """Return the log loss of the labels' mean as the probability of each of them."""
    share = float(np.mean(labels))
    return -sum(p * float(np.log(p)) for p in (share, 1 - share) if p)


def auc(labels: NDArray[np.uint8], scores: NDArray[np.floating[Any]]) -> float | None:
    """Return the area under the ROC curve, by the rank-sum statistic; None for one class only.

    Parameters
    ----------
    labels
        0 or 1, ``(n,)``.
    scores
        Of any scale, ``(n,)``; equal ones share their mean rank.
    """
    clicks = int(labels.sum(dtype=np.int64))
    others = len(labels) - clicks
    if clicks == 0 or others == 0:
        return None
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    begin = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sizes = np.diff(begin, append=len(scores))
    ranks = begin + (sizes + 1) / 2  # mean of begin + 1 ... begin + size
    clicks_of_rank = np.add.reduceat(labels[order].astype(np.int64), begin)
    rank_sum = float(ranks @ clicks_of_rank)
    return (rank_sum - clicks * (clicks + 1) / 2) / (clicks * others)


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities of logits, ``(n,)`` each, without overflow."""
    return np.exp(-np.logaddexp(0, -logits))
