"""Small click data with a planted truth."""

import numpy as np

from mascot_jax.clicks.data import ClickData

CARDINALITIES = (130, 3, 700, 64)


def planted(count=4000, seed=0, *, dense=2, cardinalities=CARDINALITIES):
    """Training and held-out data: Zipf-like ids, each with an effect on the logit."""
    rng = np.random.default_rng(seed)
    held_out = count // 4
    total = count + held_out
    inputs = rng.standard_normal((total, dense)).astype(np.float32)
    logit = inputs.sum(1) * 0.5 - 0.5
    categories = np.empty((total, len(cardinalities)), np.uint32)
    for field, rows in enumerate(cardinalities):
        categories[:, field] = (rng.pareto(1.0, total) * rows / 20).astype(np.int64) % rows
        logit += (rng.standard_normal(rows) * 0.8)[categories[:, field]]
    labels = (rng.random(total) < 1 / (1 + np.exp(-logit))).astype(np.uint8)
    counts = tuple(
        np.bincount(categories[:count, field], minlength=rows).astype(np.int64)
        for field, rows in enumerate(cardinalities)
    )
    data = ClickData(labels, inputs, categories, tuple(cardinalities), counts)
    return data.take(slice(0, count)), data.take(slice(count, None))
