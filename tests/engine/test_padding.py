"""Padded arrays: few sizes, few programs, and no other bits."""

import contextlib

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mascot_jax import MatrixFactorization
from mascot_jax.engine import padding
from mascot_jax.engine.padding import LEAST_RATINGS, LEAST_ROWS, SMALL, padded_size


@given(st.integers(0, 2**40), st.sampled_from([LEAST_ROWS, LEAST_RATINGS]))
def test_a_size_holds_the_count_and_not_much_more(count, least):
    size = padded_size(count, least)
    assert size >= max(count, least)
    assert padded_size(size, least) == size
    assert size <= max(4 * count, least)
    if count > SMALL:
        assert size <= count * 9 / 8 + 1


def test_sizes_are_few():
    counts = np.unique(np.geomspace(1, 1 << 30, 5000).astype(np.int64)).tolist()
    assert len({padded_size(count, LEAST_ROWS) for count in counts}) <= 4 + 8 * 14


long = pytest.mark.hardening


def made(ratings, users, items, seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, users, ratings),
        rng.integers(0, items, ratings),
        rng.integers(1, 6, ratings).astype(float),
    )


@contextlib.contextmanager
def compilations():
    """Count what XLA compiles."""
    seen = []

    def listen(event, seconds, **_):
        if event.endswith("backend_compile_duration"):
            seen.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield seen
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


@pytest.mark.parametrize("method", ["fp16", "mascot"])
def test_models_of_other_sizes_and_updates_compile_nothing(method):
    def fit(*sizes, epochs=2):
        model = MatrixFactorization(factors=8, epochs=epochs, method=method, validation=0.1)
        return model.fit(made(*sizes))

    fit(700, 50, 30).partial_fit(made(90, 60, 30))
    with compilations() as compiled:
        for sizes in ((20, 3, 3), (900, 20, 70), (1500, 300, 200)):
            fit(*sizes, epochs=3)
        model = fit(800, 30, 30)
        for new in range(3):
            model.partial_fit(made(60 + new, 40 + new, 30))
            model.predict(1, 1), model.recommend(1), model.similar_items(1)
            model.recommend(1, min_ratings=2, popularity=1.0, diversity=0.5)
    assert compiled == []


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"method": "mascot", "order": "shuffled", "warmup": 0, "period": 1},
        pytest.param({"method": "mascot-n2", "warmup": 0, "period": 1}, marks=long),
        {"method": "mascot-int8", "criterion": "lost-update", "threshold": 0.01, "warmup": 0,
         "period": 1},
        {"order": "group-blocks"},
        {"deterministic": False, "threads": 1},
        {"deterministic": False, "threads": 1, "order": "shuffled"},
        pytest.param({"method": "muppet"}, marks=long),
        {"method": "fp32", "validation": 0.1, "patience": 2},
    ],
    ids=str,
)  # fmt: skip
def test_padding_changes_no_bit(settings, monkeypatch):
    def bits():
        model = MatrixFactorization(factors=8, **{"epochs": 3, **settings}).fit(made(900, 40, 30))
        model.partial_fit(made(30, 45, 30))
        sides = model.model_.users.table, model.model_.items.table
        return [
            model.history_[-1]["validation_rmse"],
            *(x.tobytes() for s in sides for x in (*s.stored.values(), s.starts, s.codes)),
        ]

    padded = bits()
    monkeypatch.setattr(padding, "padded_size", lambda count, least: count)
    assert bits() == padded
