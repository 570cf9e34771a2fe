import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mascot_jax.methods.switching import (
    GRADIENT_DIVERSITY,
    LOST_UPDATE,
    Sums,
    decide,
    lost_update,
    measure,
    pool,
    q_error,
    unpack_sums,
)

GRADIENTS = arrays(
    np.float32,
    st.tuples(st.integers(1, 20), st.integers(1, 5)),
    elements=st.floats(-2, 2, width=32).filter(lambda x: x == 0 or abs(x) > 1e-3),
)


def sums_of(*groups):
    """Sums of groups of gradients [n, k] each."""
    rows = [[*g.sum(axis=0), np.square(g).sum(), len(g), 0, 0] for g in groups]
    return unpack_sums(jnp.array(rows, dtype=jnp.float32))


def test_one_gradient_has_q_error_one():
    assert q_error(sums_of(np.array([[3.0, 4.0]]))).tolist() == [1.0]


def test_opposed_gradients_have_q_error_zero():
    assert q_error(sums_of(np.array([[1.0, 2.0], [-1.0, -2.0]]))).tolist() == [0.0]


def test_equal_gradients_have_their_number_as_q_error():
    assert q_error(sums_of(np.ones((7, 4)))).tolist() == [7.0]


def test_no_gradient_has_no_q_error():
    assert np.isnan(q_error(sums_of(np.zeros((0, 3)), np.zeros((5, 3))))).all()


@given(GRADIENTS, st.sampled_from([0.25, 8.0, 1024.0]), st.randoms())
def test_q_error_is_eq_4_whatever_the_scale_and_order(gradients, scale, random):
    total = np.square(gradients.astype(np.float64)).sum()
    if total == 0:
        return
    expected = np.square(gradients.sum(axis=0, dtype=np.float64)).sum() / total
    shuffled = gradients[random.sample(range(len(gradients)), len(gradients))]
    for variant in (gradients, shuffled, gradients * np.float32(scale)):
        np.testing.assert_allclose(q_error(sums_of(variant))[0], expected, rtol=1e-4, atol=1e-5)


def test_pooling_judges_a_side_as_one():
    a, b = np.ones((3, 2)), np.array([[-1.0, 0.0]])
    pooled = q_error(pool(sums_of(a, b)))
    whole = q_error(sums_of(np.concatenate([a, b])))
    assert pooled.tolist() == [whole[0], whole[0]]


NAN = float("nan")


@pytest.mark.parametrize(
    ("code", "baseline", "error", "count", "new_code", "new_baseline"),
    [
        (1, NAN, 2.0, 32, 1, 2.0),  # the first measurement founds the baseline and can not switch
        (1, NAN, 2.0, 31, 1, NAN),  # too few samples found nothing
        (1, 2.0, 40.1, 32, 0, 2.0),  # past theta times the baseline: promoted
        (1, 2.0, 40.0, 32, 1, 2.0),  # not past it
        (1, 2.0, 99.0, 31, 1, 2.0),  # too few samples decide nothing
        (1, 2.0, NAN, 32, 1, 2.0),
        (1, NAN, NAN, 0, 1, NAN),
        (0, 2.0, 0.1, 99, 0, 2.0),  # never back
        (0, 2.0, 99.0, 99, 0, 2.0),
    ],
)
def test_decisions(code, baseline, error, count, new_code, new_baseline):
    decision = decide(
        jnp.array([code], dtype=jnp.uint8),
        jnp.array([baseline], dtype=jnp.float32),
        jnp.array([error], dtype=jnp.float32),
        jnp.array([count], dtype=jnp.float32),
        jnp.float32(20),
    )
    assert decision.codes.tolist() == [new_code]
    np.testing.assert_array_equal(decision.baseline, np.array([new_baseline], np.float32))


@pytest.mark.parametrize(
    ("code", "baseline", "error", "count", "new_code", "new_baseline"),
    [
        (1, NAN, 0.46, 32, 0, 0.46),  # the first measurement decides
        (1, NAN, 0.45, 32, 1, 0.45),  # not past it
        (1, 0.1, 0.46, 32, 0, 0.1),  # whatever the first one was
        (1, NAN, 0.46, 31, 1, NAN),  # too few samples
        (1, 0.1, NAN, 32, 1, 0.1),
        (0, 0.1, 9.0, 32, 0, 0.1),
    ],
)
def test_decisions_by_the_lost_update(code, baseline, error, count, new_code, new_baseline):
    decision = decide(
        jnp.array([code], dtype=jnp.uint8),
        *(jnp.array([x], dtype=jnp.float32) for x in (baseline, error, count)),
        jnp.float32(0.45),
        LOST_UPDATE,
    )
    assert decision.codes.tolist() == [new_code]
    np.testing.assert_array_equal(decision.baseline, np.array([new_baseline], np.float32))


def test_the_lost_update_is_a_share_of_the_whole():
    rows = [[9, 9, 9, 40, 0, 4], [9, 9, 9, 40, 4, 4], [9, 9, 9, 40, 1, 4], [0, 0, 0, 40, 0, 0]]
    sums = unpack_sums(jnp.array(rows, dtype=jnp.float32))
    lost = lost_update(sums)
    assert lost[:3].tolist() == [0, 1, 0.25]
    assert np.isnan(lost[3])
    np.testing.assert_array_equal(measure(sums, LOST_UPDATE), lost)
    np.testing.assert_array_equal(measure(sums, GRADIENT_DIVERSITY), q_error(sums))
    assert lost_update(pool(sums)).tolist() == [np.float32(5 / 12)] * 4


def test_sums_are_unpacked_by_column():
    raw = jnp.arange(12, dtype=jnp.float32).reshape(2, 6)
    sums = unpack_sums(raw)
    assert isinstance(sums, Sums)
    assert sums.gradient.tolist() == [[0, 1], [6, 7]]
    assert [s.tolist() for s in sums[1:]] == [[2, 8], [3, 9], [4, 10], [5, 11]]
