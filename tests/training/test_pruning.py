"""Trainings that go on with fewer factors."""

import jax
import numpy as np
import pytest

from mascot_jax.engine.kernels import Execution
from mascot_jax.errors import PruningWarning
from mascot_jax.methods import pruning
from mascot_jax.mf.model_file import load_model, model_facts, save_model
from mascot_jax.mf.train import train_model
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.tables.traffic import by_storage, relative_bytes
from mascot_jax.training.loop import begin, train_state
from tests.support.worlds import ONE, live_rows, prepared
from tests.training.test_training import planted

PROJECT = {"method": "project", "factors": 4, "epoch": 5}


def settings(**values):
    usual = {"method": "fp32", "factors": 24, "epochs": 12, "learning_rate": 0.05}
    return validate(TrainSettings, usual | {"pruning": PROJECT} | values)


def problem(test=False, execution=ONE, **values):
    ratings, users, items = planted(count=6000)
    held_out = tuple(column[:500] for column in ratings.host()) if test else None
    return prepared(ratings, users, items, settings(**values), execution, held_out)


def states_of(execution=ONE, **values):
    """What every epoch leaves: its record, and the state's factors and groups."""
    seen = []

    def on_epoch(record, state):
        seen.append((record, state.users.factors, np.array(state.users.codes)))

    state = train_state(problem(True, execution, **values), execution, on_epoch)
    return state, seen


def test_rows_are_narrow_from_the_end_of_that_epoch_on():
    state, seen = states_of()
    assert [width for _, width, _ in seen] == [24] * 4 + [4] * 8
    assert state.users.factors == state.items.factors == 4


def test_a_projection_loses_little_and_training_goes_on():
    """The planted truth has rank two."""
    _, seen = states_of(epochs=40)
    rmses = [record.test_rmse for record, *_ in seen]
    wide = [record.test_rmse for record, *_ in states_of(epochs=40, pruning=None)[1]]
    assert rmses[:4] == wide[:4]
    assert abs(rmses[4] - wide[4]) < 0.01
    assert rmses[-1] < wide[-1] + 0.005
    assert rmses[-1] < 0.6 * rmses[4]


@pytest.mark.parametrize("method", ["fp16", "int8", "mascot"])
def test_threads_change_no_bit(method):
    stochastic = {"rounding": "stochastic"} if method == "fp16" else {}
    more = {"threshold": 0.5, "sample_ratio": 1.0} if method == "mascot" else {}
    kept = {"pruning": PROJECT | {"factors": 32}, "factors": 64} if method == "int8" else {}
    results = []
    for threads in (1, 3):
        execution = Execution(threads)
        state, _ = states_of(
            execution, method=method, deterministic=True, **stochastic, **more, **kept
        )
        results.append([live_rows(table).tobytes() for table in (state.users, state.items)])
    assert results[0] == results[1]


@pytest.mark.hardening
def test_a_gpus_projection_learns_as_much(monkeypatch):
    """What JAX does there, on this CPU."""
    values = {"method": "fp16", "rounding": "stochastic", "deterministic": True}
    wanted = [record.test_rmse for record, *_ in states_of(**values)[1]]
    monkeypatch.setattr(pruning, "native", lambda _: False)
    state, seen = states_of(**values)
    assert (state.users.factors, state.items.factors) == (4, 4)
    found = [record.test_rmse for record, *_ in seen]
    assert found[:4] == wanted[:4]
    assert found[4:] != wanted[4:]
    np.testing.assert_allclose(found, wanted, atol=0.003)


def test_groups_keep_their_storages_and_baselines():
    measured = {"threshold": 0.7, "sample_ratio": 1.0, "warmup": 1, "period": 2}
    _, seen = states_of(method="mascot", **measured)
    before, after = seen[4][0], seen[5][0]
    assert set(after.users.codes) == {0, 1}  # some have been promoted
    np.testing.assert_array_equal(after.users.codes, seen[4][2][: len(after.users.codes)])
    np.testing.assert_array_equal(before.users.baseline, seen[3][0].users.baseline)
    np.testing.assert_array_equal(after.users.baseline, before.users.baseline)
    assert np.isfinite(before.users.baseline).any()


def test_the_old_rows_are_freed():
    given = problem()
    state = begin(given).state
    old = jax.tree.leaves((state.users.stored, state.items.stored))
    pruning.begin(state, given.ratings, given.plan, ONE)
    assert all(array.is_deleted() for array in old)


@pytest.mark.parametrize("factors", [4, 23])
def test_a_model_is_one_of_fewer_factors_whose_settings_say_why(tmp_path, factors):
    model = train_model(problem(pruning=PROJECT | {"factors": factors}), ONE)
    save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert again.factors == again.dense_users().shape[1] == factors
    assert again.settings == model.settings
    assert again.settings.pruning.epoch == 5
    np.testing.assert_array_equal(again.dense_items(), model.dense_items())
    assert model_facts(tmp_path / "model")["format_version"] == 6


def test_a_model_without_pruning_is_written_as_before(tmp_path):
    save_model(train_model(problem(pruning=None, epochs=1), ONE), tmp_path / "model")
    facts = model_facts(tmp_path / "model")
    assert facts["format_version"] == 4
    assert "pruning" not in facts["settings"]


def test_traffic_counts_bytes_by_width():
    measured = {"threshold": 0.7, "sample_ratio": 1.0, "warmup": 1, "period": 2}
    model = train_model(problem(method="mascot", **measured), ONE)
    assert set(model.traffic) == {"float16", "float16@4", "float32", "float32@4"}
    halves, wholes = (by_storage(model.traffic)[name] for name in ("float16", "float32"))
    assert halves + wholes == pytest.approx(1)
    narrow = sum(share for name, share in model.traffic.items() if name.endswith("@4"))
    assert narrow == pytest.approx(7 / 12)
    bytes_ = (
        2 * 24 * model.traffic["float16"]
        + 2 * 4 * model.traffic["float16@4"]
        + 4 * 24 * model.traffic["float32"]
        + 4 * 4 * model.traffic["float32@4"]
    )
    assert relative_bytes(model.traffic, 24) == pytest.approx(bytes_ / (4 * 24))


def test_a_training_that_ends_before_has_a_model_of_all_factors(tmp_path):
    model = train_model(problem(), ONE, lambda record, _: record.epoch == 2)
    save_model(model, tmp_path / "model")
    assert load_model(tmp_path / "model").factors == 24
    assert set(model.traffic) == {"float32"}


EXIT = {"method": "early-exit", "rate": 0.3, "epoch": 3}


def bits(state):
    return [live_rows(table).tobytes() for table in (state.users, state.items)]


def test_rate_zero_is_no_pruning_bit_for_bit():
    plain, _ = states_of(method="mascot", pruning=None)
    cut, seen = states_of(method="mascot", pruning=EXIT | {"rate": 0.0})
    assert bits(cut) == bits(plain)
    assert [record.visited for record, *_ in seen] == [1.0] * 12


def test_threads_change_no_bit_of_updates_that_end_early():
    values = {"method": "mascot-int8", "pruning": EXIT, "deterministic": True}
    assert bits(states_of(Execution(1), **values)[0]) == bits(states_of(Execution(3), **values)[0])


def test_updates_end_early_from_that_epoch_on():
    plain = [record.test_rmse for record, *_ in states_of(pruning=None)[1]]
    seen = [record for record, *_ in states_of(pruning=EXIT)[1]]
    assert [record.test_rmse for record in seen][:3] == pytest.approx(plain[:3], abs=1e-6)
    assert seen[3].test_rmse != pytest.approx(plain[3], abs=1e-4)
    assert [record.visited for record in seen][:2] == [1.0, 1.0]
    assert all(0.01 < record.visited < 0.9 for record in seen[2:])


def test_a_model_keeps_its_thresholds(tmp_path):
    model = train_model(problem(pruning=EXIT), ONE)
    save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert again.thresholds == model.thresholds
    assert min(again.thresholds) > 0
    assert again.factors == 24
    early = train_model(problem(pruning=EXIT), ONE, lambda record, _: record.epoch == 1)
    assert early.thresholds is None


def test_a_training_that_hardly_visits_anything_is_warned_of():
    with pytest.warns(PruningWarning, match=r"early-exit visits 0\.\d\d% of the factors"):
        states_of(pruning=EXIT | {"rate": 0.9999})
