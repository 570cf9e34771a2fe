"""Updates and predictions that end at the first component near zero."""

import statistics

import jax.numpy as jnp
import numpy as np
import pytest
from jax.errors import JaxRuntimeError

from mascot_jax.engine import early_exit
from mascot_jax.engine.early_exit import Moments, threshold_of
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.tables import to_host
from tests.engine.test_deterministic import laid_out, pieces
from tests.engine.test_kernels import VARIANTS, run, sgd
from tests.support import reference
from tests.support.worlds import live_rows, make_world

END = (0.02, 0.03)
"""Of rows whose components deviate by 0.3: some eight components are visited."""
NEVER = (1e-30, 1e-30)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize(("factors", "codes"), [(20, "all"), (128, "mixed")])
def test_one_thread_is_numpy_sgd_bit_for_bit(factors, codes, rounding, variant):
    world = make_world(factors, codes, count=100)
    p, q, _ = sgd(world, rounding=rounding, end=END)
    users, items, *_ = run(world, variant, rounding=rounding, thresholds=END)
    np.testing.assert_array_equal(live_rows(users), p)
    np.testing.assert_array_equal(live_rows(items), q)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("threads", [1, 3])
def test_runs_of_a_user_are_cut_off_rating_by_rating(threads, variant):
    world = laid_out(make_world(40, "all", count=200), order="runs")
    p, q, _ = sgd(world, pieces(world.ratings), "stochastic", end=END)
    users, items, *_ = run(world, variant, threads, rounding="stochastic", thresholds=END)
    np.testing.assert_array_equal(live_rows(users), p)
    np.testing.assert_array_equal(live_rows(items), q)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("thresholds", [(0, 0), NEVER])
def test_thresholds_that_nothing_is_below_change_no_bit(thresholds, variant):
    plain, cut = (make_world(33) for _ in range(2))  # of which no component is zero
    users, items, *sums = run(plain, variant, rounding="stochastic", sample_ratio=0.4)
    options = {"rounding": "stochastic", "sample_ratio": 0.4, "thresholds": thresholds}
    same_users, same_items, *same_sums = run(cut, variant, **options)
    np.testing.assert_array_equal(live_rows(users), live_rows(same_users))
    np.testing.assert_array_equal(live_rows(items), live_rows(same_items))
    for some, others in zip(sums, same_sums, strict=True):
        np.testing.assert_array_equal(some, others)


def test_samples_have_the_gradients_of_what_is_updated():
    world = make_world(20, "float32", count=300)
    starts = np.asarray(world.users.starts)
    *_, details = sgd(world, end=END)
    *_, user_sums, _ = run(world, sample_ratio=1.0, thresholds=END)
    expected = np.zeros((len(starts) - 1, 20))
    for i, row in enumerate(world.user_rows):
        group = np.searchsorted(starts, row, side="right") - 1
        expected[group] += details[i]["gradient_p"].astype(np.float64)
    np.testing.assert_allclose(np.asarray(user_sums)[:, :20], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("factors", [7, 70])
def test_predictions_and_stops_are_numpys(factors, variant):
    world = make_world(factors, "all")
    found, stops = early_exit.predict_to_stop(
        jnp.asarray(world.user_rows),
        jnp.asarray(world.item_rows),
        world.users,
        world.items,
        jnp.array(END, jnp.float32),
        execution=Execution(2, variant),
    )
    pairs = list(zip(world.p[world.user_rows], world.q[world.item_rows], strict=True))
    wanted = [reference.stop(x, y, END) for x, y in pairs]
    np.testing.assert_array_equal(stops, wanted)
    assert {factors, 0} & set(wanted)
    dots = [
        reference.dot(x[:n], y[:n]) if n else 0 for (x, y), n in zip(pairs, wanted, strict=True)
    ]
    np.testing.assert_array_equal(found, np.array(dots, np.float32))


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (0.3, 0.2), (-5.0, 0.01)])
@pytest.mark.parametrize("rate", [0.001, 0.3, 0.999])
def test_a_threshold_has_the_normal_mass_of_its_rate(rate, mean, deviation):
    threshold = threshold_of(rate, Moments(mean, deviation))
    normal = statistics.NormalDist(mean, deviation)
    assert normal.cdf(threshold) - normal.cdf(-threshold) == pytest.approx(rate, abs=1e-5)


@pytest.mark.parametrize(("rate", "deviation"), [(0.0, 1.0), (0.5, 0.0)])
def test_nothing_is_below_the_threshold_of_rate_zero_or_of_equal_components(rate, deviation):
    assert threshold_of(rate, Moments(1.0, deviation)) == 0


def test_moments_and_sparsity_are_numpys():
    world = make_world(20, "all", rows=(300, 20))
    rows = to_host(world.users)
    dense = world.p.astype(np.float64)
    found = early_exit.moments_of(rows)
    np.testing.assert_allclose(found, (dense.mean(), dense.std()), rtol=1e-9)
    wanted = (np.abs(world.p) < np.float32(0.1)).mean(axis=0)
    np.testing.assert_array_equal(early_exit.sparsity(rows, 0.1), wanted)


def test_components_that_are_rarely_near_zero_on_both_sides_come_first():
    users, items = np.array([0.5, 0.1, 0.5, 0.2]), np.array([0.4, 0.9, 0.4, 0.1])
    np.testing.assert_array_equal(early_exit.rearrangement(users, items), [3, 1, 0, 2])


@pytest.mark.parametrize("codes", ["float16", "mixed", "int8"])
def test_rearranged_rows_are_the_same_in_another_order(codes):
    world = make_world(20, codes)
    order = np.random.default_rng(0).permutation(20)
    before = live_rows(world.users)
    after = live_rows(early_exit.rearranged(world.users, order))
    if codes == "int8":
        largest = np.abs(before).max(axis=1, keepdims=True)
        assert (np.abs(after - before[:, order]) <= largest / 127).all()
    else:
        np.testing.assert_array_equal(after, before[:, order])


def test_the_handlers_refuse_what_no_update_can_end_by():
    with pytest.raises(JaxRuntimeError, match="thresholds must not be negative"):
        run(make_world(8, "float32"), thresholds=(-1, 0))
    with pytest.raises(JaxRuntimeError, match="rates must hold 5 values"):
        run(make_world(8, "float32"), thresholds=(1,))
    with pytest.raises(JaxRuntimeError, match="updates end early in float32 arithmetic only"):
        run(
            make_world(8, "float16").only("float16"),
            arithmetic="float16",
            thresholds=END,
        )
