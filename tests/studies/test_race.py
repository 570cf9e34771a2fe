"""Trainings in turn are those that ``train_state`` does, one by one."""

import numpy as np
import pytest

from benchmarks.harness.early_exit import rmse_to_stop
from benchmarks.harness.problems import regrouped
from mascot_jax.engine.kernels import Execution
from mascot_jax.errors import DivergenceError
from mascot_jax.settings import PruningSettings
from mascot_jax.training.loop import train_state
from mascot_jax.training.problem import prepare
from studies.paper.core.problem import read_problem
from studies.paper.core.race import Scored, Variant, race, variant_plan
from studies.paper.core.settings import Grids, Training
from studies.paper.core.stage import Case

TRAINING = Training(factors=16, epochs=4, warmup=0, threads=1, backend="cpu")
PROJECT = {"method": "project", "factors": 8, "epoch": 2}
EARLY_EXIT = {"method": "early-exit", "rate": 0.3, "epoch": 2}
VARIANTS = [
    Variant("plain", {"method": "fp32"}),
    # A threshold that groups pass at their second measurement.
    Variant("mascot", {"method": "mascot", "threshold": 1e-6, "sample_ratio": 1.0}, groups=3),
    Variant("runs", {"method": "fp16", "order": "runs", "deterministic": True}),
]
PRUNED = [
    Variant("project", {"method": "fp32", "pruning": PROJECT}),
    Variant("early exit", {"method": "fp32", "pruning": EARLY_EXIT}),
]
NAMES = [variant.name for variant in VARIANTS]


@pytest.fixture(scope="module")
def problem(folder):
    return read_problem(folder, 0)


@pytest.fixture(scope="module")
def run(problem):
    visited = []
    outcomes = race(VARIANTS, problem, TRAINING, 5, Scored.EACH, visited.append)
    return outcomes, visited


def test_every_variant_is_visited_once_a_round_and_another_one_goes_first(run):
    _, visited = run
    rounds = [visited[i : i + 3] for i in range(0, 12, 3)]
    assert [first for first, *_ in rounds] == ["plain", "mascot", "runs", "plain"]
    assert rounds[1] == ["mascot", "runs", "plain"]
    assert all(sorted(names) == sorted(NAMES) for names in rounds)


def test_outcomes_have_an_entry_per_epoch(run):
    outcomes, _ = run
    assert list(outcomes) == NAMES
    for outcome in outcomes.values():
        assert [record.epoch for record in outcome.records] == [0, 1, 2, 3]
        assert outcome.seconds == sum(record.seconds for record in outcome.records) > 0
        assert len(outcome.rmses) == len(outcome.switched) == 4
        assert outcome.rmse == outcome.rmses[3]


@pytest.mark.parametrize(("scored", "count"), [(Scored.NEVER, 0), (Scored.LAST, 1)])
def test_scores_are_taken_when_asked(problem, run, scored, count):
    outcome = race(VARIANTS[:1], problem, TRAINING, 5, scored)["plain"]
    rmses = run[0]["plain"].rmses
    assert outcome.rmses == rmses[len(rmses) - count :]


@pytest.mark.parametrize("variant", VARIANTS, ids=NAMES)
def test_a_variant_trains_as_it_would_alone(problem, run, variant):
    """With one thread, to the bit: errors after each epoch, q-errors, and what is promoted."""
    plan, one = variant_plan(variant, TRAINING, 5), Execution(1)
    prepared = prepare(regrouped(problem, variant.groups), plan, one)
    records = []
    train_state(prepared, one, lambda record, _: records.append(record))
    for ours, alone in zip(run[0][variant.name].records, records, strict=True):
        assert ours.test_rmse == alone.test_rmse
        for side in ("users", "items"):
            for mine, its in zip(getattr(ours, side), getattr(alone, side), strict=True):
                np.testing.assert_array_equal(mine, its)


def test_row_visits_and_bytes_follow_the_groups(run):
    outcomes, _ = run
    assert outcomes["plain"].switched == [0, 0, 0, 0]
    assert outcomes["plain"].relative_bytes == 1
    assert outcomes["runs"].relative_bytes == 0.5
    switched = outcomes["mascot"].switched
    assert switched[0] == 0
    assert 0 < switched[-1] <= 1
    moved = [0.5 + 0.5 * share for share in switched]
    assert outcomes["mascot"].relative_bytes == pytest.approx(sum(moved) / 4)


def test_updates_race_unless_a_variant_says_otherwise():
    plain, _, runs = (variant_plan(variant, TRAINING, 5) for variant in VARIANTS)
    assert (plain.deterministic, plain.order, plain.seed) == (False, "shuffled", 5)
    assert runs.deterministic
    assert variant_plan(Variant("x", {"seed": 9}), TRAINING, 5).seed == 9


def test_a_variant_that_diverges_is_named(problem):
    wild = Variant("wild", {"method": "fp32", "learning_rate": 1e3})
    with pytest.raises(DivergenceError, match=r"^variant wild: training diverged in epoch 0: "):
        race([wild], problem, TRAINING, 0, Scored.NEVER)


@pytest.fixture
def case(folder):
    grids = Grids(
        factors=[16],
        half_shares=[0.0],
        groups=[1],
        periods=[1, 2],
        sample_ratios=[0.05, 1.0],
        pruning=[PruningSettings(**PROJECT)],
    )
    return Case(
        "fig0", "synthetic ml-1m", folder, 3, TRAINING.model_copy(update={"seed": 7}), grids
    )


def test_repetitions_have_folds_and_seeds_of_their_own(case):
    seeds, problems = zip(*case.problems(), strict=True)
    assert seeds == (7, 8, 9)
    users = [problem.ratings.users.tolist() for problem in problems]
    assert users[0] == users[2] != users[1]  # the third one tests the first fold again
    assert len(users[1]) == 751


def test_a_case_collects_repetitions_by_variant(case):
    outcomes = case.race(VARIANTS[:1], Scored.LAST)
    rmses = [run.rmse for run in outcomes["plain"]]
    assert len(set(rmses)) == 3


@pytest.mark.parametrize("variant", PRUNED, ids=[variant.name for variant in PRUNED])
def test_a_pruned_variant_trains_as_it_would_alone(problem, variant):
    outcome = race([variant], problem, TRAINING, 5, Scored.LAST)[variant.name]
    plan, one = variant_plan(variant, TRAINING, 5), Execution(1)
    prepared = prepare(regrouped(problem, variant.groups), plan, one)
    records = []
    state = train_state(prepared, one, lambda record, _: records.append(record))
    assert outcome.rmse == records[-1].test_rmse
    if variant.name == "project":
        assert (outcome.visited, outcome.relative_bytes) == (0.75, 0.75)
        assert outcome.rmse_to_stop is None
    else:
        shares = [1.0, *(record.visited for record in records[:3])]
        assert outcome.visited == pytest.approx(sum(shares) / 4)
        assert shares[1] == 1 > shares[2]
        wanted = rmse_to_stop(state, problem.test, prepared.rule, one)
        assert outcome.rmse_to_stop == wanted != outcome.rmse
