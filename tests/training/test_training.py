from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.ratings import make_ratings, relabelled_ratings
from mascot_jax.engine.tables import to_host
from mascot_jax.errors import DataError, DivergenceError
from mascot_jax.methods.switching import measures
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.tables.groups import regroup
from mascot_jax.tables.storage import FLOAT16, FLOAT32, STORAGES
from mascot_jax.tables.traffic import Traffic, relative_bytes
from mascot_jax.training import epoch
from mascot_jax.training.epoch import train_epoch
from mascot_jax.training.initial import bell, initial_state
from mascot_jax.training.loop import begin, train_state
from mascot_jax.training.schedule import learning_rates
from tests.support.worlds import ONE, live_rows, prepared


def plan(**values):
    """Of a Hogwild training."""
    values = {"factors": 8, "epochs": 12, "deterministic": False} | values
    return validate(TrainSettings, values).plan()


def planted(users=60, items=40, count=4000, seed=0, groups=4):
    """Ratings of a rank-two truth, grouped."""
    rng = np.random.default_rng(seed)
    p, q = rng.uniform(0.5, 1.6, (2, max(users, items), 2)).astype(np.float32)
    u = (users * rng.random(count) ** 2).astype(np.uint32)
    i = (items * rng.random(count) ** 2).astype(np.uint32)
    r = (p[u] * q[i]).sum(axis=1)
    ug, ig = (regroup(np.bincount(x, minlength=n), groups) for x, n in ((u, users), (i, items)))
    return make_ratings(ug.row_of[u], ig.row_of[i], r, users, items), ug, ig


def train(plan, execution=ONE, on_epoch=None):
    return train_state(prepared(*planted(), plan, execution), execution, on_epoch)


def rmse(state):
    users, items, ratings = planted()[0].host()
    dots = (live_rows(state.users)[users] * live_rows(state.items)[items]).sum(axis=1)
    return float(np.sqrt(np.mean((dots - ratings) ** 2)))


@pytest.mark.parametrize("method", ["fp32", "fp16", "mascot-n1", "mascot-n2", "mascot"])
@pytest.mark.parametrize("threads", [1, 2])
def test_every_method_learns_a_planted_truth(method, threads):
    state = train(plan(method=method, epochs=60, learning_rate=0.05), Execution(threads))
    assert rmse(state) < 0.1


@pytest.mark.parametrize("method", ["fp32", "fp16", "mascot"])
def test_one_thread_gives_the_same_bits_again(method):
    first, again = (train(plan(method=method)) for _ in range(2))
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(again), strict=True):
        if a.ndim != 2:
            np.testing.assert_array_equal(a, b)
    for table in ("users", "items"):
        a, b = (live_rows(getattr(state, table)) for state in (first, again))
        np.testing.assert_array_equal(a, b)


def test_a_seed_changes_the_result():
    a, b = (live_rows(train(plan(seed=seed)).users) for seed in (0, 1))
    assert (a != b).any()


def test_initial_factors_are_small_and_bell_shaped():
    _, _, items = planted()
    starts = np.array([0, 40_000], dtype=np.uint32)
    state = initial_state(starts, items.starts, plan(method="fp32", factors=13))
    factors = live_rows(state.users).astype(np.float64)
    assert abs(factors.mean()) < 5e-5
    assert abs(factors.std() - 0.01) < 5e-5
    kurtosis = (factors**4).mean() / factors.var() ** 2 - 3
    assert abs(kurtosis + 0.3) < 0.03
    assert abs(factors).max() < 0.01 * 12**0.5
    for other in (factors[1:, 0], factors[:-1, 1]):  # neither rows nor columns hang together
        assert abs(np.corrcoef(factors[:-1, 0], other)[0, 1]) < 0.02
    assert len(np.unique(factors, axis=0)) == 40_000  # chunks of rows do not repeat
    assert not np.asarray(state.users.stored["float32"])[:40_000, 13:].any()


def test_initial_factors_are_exact_multiples_of_one_step():
    drawn = np.asarray(bell(jax.random.key(1), (128, 16), np.uint32(100)))[:100]
    words = np.asarray(jax.random.bits(jax.random.key(1), (2, 100, 16), np.uint32))
    total = (words & 0xFFFF).astype(np.int64).sum(axis=0) + (words >> 16).sum(axis=0)
    step = np.float32(0.01 / ((2**32 - 1) / 3) ** 0.5)
    np.testing.assert_array_equal(drawn, (total - 2 * 0xFFFF).astype(np.float32) * step)


@pytest.mark.parametrize(
    ("method", "storages", "initial"),
    [
        ("fp32", ["float32"], 0),
        ("fp16", ["float16"], 1),
        ("mascot", ["float16", "float32"], 1),
        ("mascot-n2", ["float16", "float32"], 1),
    ],
)
def test_a_method_has_the_tables_it_needs(method, storages, initial):
    _, users, items = planted()
    state = initial_state(users.starts, items.starts, plan(method=method))
    for table in (state.users, state.items):
        assert list(table.stored) == storages
        assert set(to_host(table).codes) == {initial}
    assert list(state.methods) == ["switching"] * (len(storages) > 1)
    assert all(np.isnan(x).all() for memory in state.methods.values() for x in memory.values())


def test_half_factors_start_as_the_rounded_full_ones():
    _, users, items = planted()
    full, half = (
        initial_state(users.starts, items.starts, plan(method=m)) for m in ("fp32", "fp16")
    )
    np.testing.assert_array_equal(live_rows(full.users).astype(np.float16), live_rows(half.users))


def test_groups_switch_one_way_and_only_after_a_measurement():
    seen = []
    train(
        plan(method="mascot", epochs=40, threshold=0.5, sample_ratio=1.0, warmup=3, period=4),
        on_epoch=lambda record, _: seen.append(record),
    )
    codes = np.array([[*r.users.codes, *r.items.codes] for r in seen]).astype(int)
    measured = [r.epoch for r in seen if not np.isnan(r.users.q_error).all()]
    assert measured == [3, 7, 11, 15, 19, 23, 27, 31, 35]
    changes = np.flatnonzero((np.diff(codes, axis=0) != 0).any(axis=1))
    assert set(changes) <= set(measured[1:])
    assert len(changes) > 0
    assert (np.diff(codes, axis=0) <= 0).all()  # float16 is 1, float32 is 0


@pytest.mark.parametrize(("rounding", "lost"), [("nearest", (0.3, 1)), ("stochastic", (1, 1e9))])
def test_updates_far_below_an_ulp_are_lost(rounding, lost):
    seen = []
    s = plan(
        method="mascot", rounding=rounding, criterion="lost-update", learning_rate=1e-7,
        epochs=3, warmup=0, period=1, sample_ratio=1.0, threshold=0.2,
    )  # fmt: skip
    train(s, on_epoch=lambda record, _: seen.append(record))
    for side in (seen[0].users, seen[0].items):
        assert (side.q_error > lost[0]).all()
        assert (side.q_error <= lost[1] * 1.03).all()
    assert not seen[1].users.codes.any()  # all promoted: float32 is 0
    assert (seen[1].users.q_error < 0.01).all()


def test_n2_switches_a_side_as_a_whole():
    seen = []
    train(
        plan(method="mascot-n2", epochs=40, threshold=0.01, sample_ratio=1.0, warmup=3),
        on_epoch=lambda record, _: seen.append(record),
    )
    codes = [set(c.tolist()) for r in seen for c in (r.users.codes, r.items.codes)]
    assert all(len(c) == 1 for c in codes)
    assert {0} in codes
    errors = [r.users.q_error for r in seen if r.epoch == 3]
    assert len(set(errors[0].tolist())) == 1


@pytest.mark.parametrize("method", ["fp32", "fp16"])
def test_methods_that_never_switch_do_not_measure(method):
    seen = []
    train(plan(method=method), on_epoch=lambda record, _: seen.append(record))
    assert all(np.isnan(r.users.q_error).all() for r in seen)


@pytest.mark.parametrize("schedule", ["power", "linear"])
def test_an_epoch_has_its_schedules_rate(schedule):
    seen = []
    s = plan(epochs=30, schedule=schedule)
    train(s, on_epoch=lambda record, _: seen.append(record.learning_rate))
    np.testing.assert_array_equal(np.array(seen, np.float32), learning_rates(s))


def test_the_last_epoch_never_measures():
    got = [bool(measures(jnp.uint32(t), np.int32(5), np.int32(2), np.int32(12))) for t in range(12)]
    assert [t for t in range(12) if got[t]] == [5, 7, 9]


def test_a_sweep_over_numbers_compiles_once():
    train(plan(learning_rate=0.01))
    before = epoch._train_epoch._cache_size()
    train(plan(learning_rate=0.02, user_reg=0.3, seed=5, threshold=3.0, period=3))
    train(plan(schedule="linear"))
    assert epoch._train_epoch._cache_size() == before


def pointers(state):
    """Where its factors lie."""
    arrays = [array for table in (state.users, state.items) for array in table.stored.values()]
    return [array.unsafe_buffer_pointer() for array in arrays]


def assert_updates_in_place(ratings, state, plan):
    """Of a world with 60 users: no table is copied, neither as compiled nor as run."""
    before = pointers(state)
    with patch.object(epoch, "_train_epoch", epoch._train_epoch.lower):
        compiled = train_epoch(state, ratings, plan, ONE).compile()
    copies = [line for line in compiled.as_text().splitlines() if "copy(" in line]
    assert [line for line in copies if "f16[" in line or "f32[60" in line] == []
    for _ in range(3):
        state, _ = train_epoch(state, ratings, plan, ONE)
    assert pointers(state) == before


@pytest.mark.parametrize("method", ["fp32", "fp16", "mascot", "mascot-n2"])
def test_an_epoch_updates_every_table_in_place(method):
    made = prepared(*planted(), plan(method=method, warmup=0, threshold=0.01))
    assert_updates_in_place(made.ratings, begin(made).state, made.plan)


def test_divergence_names_epoch_side_group_and_storage():
    with pytest.raises(DivergenceError) as info:
        train(plan(method="fp16", learning_rate=50.0))
    text = str(info.value)
    for part in ("epoch 0", "user group", "float16", "train.learning_rate"):
        assert part in text


def test_ratings_of_other_rows_are_refused():
    made = prepared(*planted(), plan())
    _, users, items = planted(users=61)
    state = initial_state(users.starts, items.starts, made.plan)
    with pytest.raises(ValueError, match="ratings are of 60 users, the state has 61"):
        train_epoch(state, made.ratings, made.plan, ONE)


@pytest.mark.parametrize(
    ("users", "items", "ratings", "message"),
    [
        ([0, 5], [0, 0], [1, 1], "user index 5 is out of range: there are 5 users"),
        ([0, 1], [0, -1], [1, 1], "item index -1 is out of range: there are 4 items"),
        ([0, 1], [0, 0], [1, np.nan], "rating number 1 is nan: must be finite"),
        ([0, 1], [0, 0], [np.inf, 1], "rating number 0 is inf"),
        ([0], [0, 0], [1, 1], "equally many"),
        ([], [], [], "there are no training ratings"),
        ([0.5], [0], [1], "must be integers"),
    ],
)
def test_bad_ratings_are_refused(users, items, ratings, message):
    kind = np.float32 if 0.5 in users else np.int64
    with pytest.raises(DataError, match=message):
        make_ratings(
            np.array(users, kind), np.array(items, np.int64), np.array(ratings, np.float32), 5, 4
        )


def test_ratings_are_the_makers_own():
    users, items = np.array([[0, 4, 2], [3, 1, 0]], np.uint32)
    values = np.array([1, 2, 3], np.float32)
    ratings = make_ratings(users, items, values, 5, 4)
    for array in (users, items, values):
        array[:] = 1000
    assert [column.tolist() for column in ratings.host()] == [[0, 4, 2], [3, 1, 0], [1, 2, 3]]


def test_a_rating_must_be_finite_as_a_float32():
    ids = np.zeros(2, dtype=np.int64)
    message = r"rating number 1 is 1e\+300: must be finite as a float32"
    with pytest.raises(DataError, match=message):
        make_ratings(ids, ids, np.array([1.0, 1e300]), 1, 1)
    assert make_ratings(ids, ids, np.array([1, 5]), 1, 1).ratings.tolist() == [1, 5]


def test_relabelled_ratings_are_not_copied():
    arrays = [np.array([0, 1, 1], dtype) for dtype in (np.uint32, np.uint32, np.float32)]
    ratings = relabelled_ratings(*arrays, *(np.arange(2, dtype=np.uint32) for _ in range(2)))
    for held, array in zip(ratings.host(), arrays, strict=True):
        assert np.shares_memory(held, array)


def test_relabelling_gives_the_regrouped_rows():
    ids = np.array([2, 0, 1, 2], dtype=np.uint32)
    row_of = np.array([1, 2, 0], dtype=np.uint32)
    ratings = relabelled_ratings(ids.copy(), ids.copy(), np.ones(4, np.float32), row_of, row_of)
    assert ratings.users.tolist() == [0, 1, 2, 0]
    bad = np.array([9], dtype=np.uint32)
    with pytest.raises(DataError, match="user index 9 is out of range"):
        relabelled_ratings(bad, ids[:1], np.ones(1, np.float32), row_of, row_of)


def test_traffic_weighs_groups_by_their_visits():
    traffic = Traffic(np.array([8, 2]), np.array([5, 5]), (STORAGES["int8-32"], FLOAT16, FLOAT32))
    traffic.add_epoch(np.array([1, 1]), np.array([1, 1]))
    assert traffic.shares == {"float16": 1.0}
    traffic.add_epoch(np.array([0, 1]), np.array([1, 1]))
    assert traffic.shares == {"float32": 0.2, "float16": 0.8}
    traffic.add_epoch(np.array([2, 2]), np.array([2, 1]))
    shares = {name: round(share * 60) for name, share in traffic.shares.items()}
    assert shares == {"int8-32": 15, "float16": 37, "float32": 8}


def test_relative_bytes_count_components_and_scales():
    assert relative_bytes({"float32": 1.0}, 100) == 1
    assert relative_bytes({"float16": 1.0}, 100) == 0.5
    # 128 bytes and four scales of 4, beside 512
    assert relative_bytes({"int8-32": 1.0}, 128) == pytest.approx(144 / 512)
    assert relative_bytes({"int8-row": 0.5, "float16": 0.5}, 128) == pytest.approx(388 / 1024)


@pytest.mark.parametrize(
    ("starts", "message"),
    [
        ([0], "0 groups with 1 starts: there must be 1 to 65536 groups"),
        (range(70_001), "70000 groups with 70001 starts: there must be 1 to 65536 groups"),
        ([1, 5], "the starts of groups must be 0, then rise"),
        ([0, 5, 5], "the starts of groups must be 0, then rise"),
        ([0, 7, 3], "the starts of groups must be 0, then rise"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_group_table_that_is_none_is_refused_before_training(starts, message):
    good, bad = np.array([0, 4], np.uint32), np.array(starts, np.uint32)
    with pytest.raises(ValueError, match=f"^users: {message}"):
        initial_state(bad, good, plan())
    with pytest.raises(ValueError, match=f"^items: {message}"):
        initial_state(good, bad, plan())
