import numpy as np
import pytest
import sklearn.metrics

from mascot_jax.base.click_metrics import auc, click_metrics


@pytest.mark.parametrize("decimals", [0, 1, 9])
@pytest.mark.parametrize("count", [2, 3, 50, 5000])
def test_metrics_are_scikit_learns(count, decimals):
    rng = np.random.default_rng(count)
    labels = (rng.random(count) < 0.3).astype(np.uint8)
    labels[:2] = [0, 1]
    logits = np.round(rng.standard_normal(count) + labels, decimals).astype(np.float32)
    probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
    found = click_metrics(labels, logits)
    assert found.auc == pytest.approx(sklearn.metrics.roc_auc_score(labels, logits), rel=1e-12)
    expected = sklearn.metrics.log_loss(labels, probabilities)
    assert found.log_loss == pytest.approx(expected, rel=1e-9)
    assert found.accuracy == sklearn.metrics.accuracy_score(labels, probabilities > 0.5)
    assert found.calibration == pytest.approx(probabilities.sum() / labels.sum())


def test_all_scores_alike_give_one_half():
    assert auc(np.array([0, 1, 1, 0, 1], np.uint8), np.full(5, 3.0)) == 0.5


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_auc(label):
    found = click_metrics(np.full(4, label, np.uint8), np.zeros(4, np.float32))
    assert found.auc is None
    assert (found.calibration is None) == (label == 0)


def test_large_logits_do_not_overflow():
    found = click_metrics(np.array([0, 1], np.uint8), np.array([-1e4, 1e4], np.float32))
    assert found.log_loss == 0
    assert found.calibration == 1
