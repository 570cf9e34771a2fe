"""What single figures compute, against numbers made by hand."""

import numpy as np
import pytest

from benchmarks.harness.problems import GROUPS, regrouped
from mascot_jax.base.arrays import count_each
from mascot_jax.engine.kernels import Execution
from mascot_jax.settings import PruningSettings
from mascot_jax.training.initial import initial_state
from mascot_jax.training.problem import prepare
from mascot_jax.training.records import EpochRecord
from studies.paper import fig4, fig5, fig8, pruning, table1, table2
from studies.paper.core.problem import read_problem
from studies.paper.core.quantities import difference, p_value, quantity, ratio
from studies.paper.core.race import Outcome, Scored, Variant, race, variant_plan
from studies.paper.core.settings import Training
from tests.support.worlds import live_rows


class TestQuantities:
    def test_mean_and_students_interval(self):
        made = quantity([1.0, 2.0, 3.0])
        half_width = 4.302653 / 3**0.5  # s = 1; t with 2 degrees of freedom
        assert made["mean"] == 2
        assert (made["low"], made["high"]) == pytest.approx((2 - half_width, 2 + half_width))
        assert made["values"] == [1, 2, 3]

    def test_one_value_has_no_interval(self):
        assert quantity([0.5]) == {"mean": 0.5, "low": None, "high": None, "values": [0.5]}

    def test_comparisons_are_paired(self):
        assert ratio([1.0, 3.0], [2.0, 4.0])["values"] == [0.5, 0.75]
        assert difference([1.0, 3.0], [2.0, 1.0])["values"] == [-1, 2]
        with pytest.raises(ValueError, match="argument 2"):
            ratio([1.0, 2.0], [1.0])

    def test_the_t_test_is_paired_and_two_sided(self):
        # Differences of mean -0.2 and deviation 0.1: t = -0.2 sqrt(3) / 0.1; and with two degrees
        # of freedom, p = 1 - |t| / sqrt(2 + t^2).
        t = 0.2 * 3**0.5 / 0.1
        expected = 1 - t / (2 + t * t) ** 0.5
        assert p_value([1.0, 2.0, 3.0], [1.1, 2.3, 3.2]) == pytest.approx(expected)
        assert p_value([1.1, 2.3, 3.2], [1.0, 2.0, 3.0]) == pytest.approx(expected)

    def test_nothing_can_be_told_of_one_repetition_or_of_the_same_values(self):
        assert p_value([1.0], [2.0]) is None
        assert p_value([1.0, 2.0], [1.0, 2.0]) is None


def test_table_2_tests_the_papers_choice_against_the_naive_one():
    test = table2.compare([1.0, 1.1, 1.2], [2.0, 2.2, 2.1])
    assert test["chosen"] == {"period": 2, "sample_ratio": 0.05}
    assert test["naive"] == {"period": 1, "sample_ratio": 1.0}
    assert test["difference"]["values"] == pytest.approx([-1.0, -1.1, -0.9])
    assert test["significant"] is True
    assert table2.compare([1.0, 1.1, 1.2], [1.1, 0.9, 1.3])["significant"] is False
    assert table2.compare([1.0], [2.0])["significant"] is None


def test_a_distribution_goes_from_the_most_rated_to_the_least():
    points = table1.distribution(np.array([1, 7, 3]))
    assert points == [
        {"share": 0.0, "ratings": 7},
        {"share": 0.5, "ratings": 3},
        {"share": 1.0, "ratings": 1},
    ]
    assert len(table1.distribution(np.arange(5000))) == table1.POINTS


class TestEvents:
    def outcome(self, switched, words):
        records = [
            EpochRecord(epoch, 0.1, 1.0, None, None, None, None, word)
            for epoch, word in enumerate(words)
        ]
        return Outcome(tuple(records), switched, 1.0)

    def test_a_method_of_one_precision_has_none(self):
        assert fig8.events(self.outcome([0.0, 0.0], [None, None])) == []

    def test_switching_is_told_where_it_changes(self):
        events = fig8.events(self.outcome([0.0, 0.0, 0.25, 0.25, 0.5], [None] * 5))
        assert events == [
            {"epoch": 0, "switched": 0.0},
            {"epoch": 2, "switched": 0.25},
            {"epoch": 4, "switched": 0.5},
        ]

    def test_word_lengths_are_told_even_if_there_is_one(self):
        events = fig8.events(self.outcome([0.0] * 3, [8, 8, 32]))
        assert events == [{"epoch": 0, "word_length": 8}, {"epoch": 2, "word_length": 32}]
        assert fig8.events(self.outcome([0.0], [8])) == [{"epoch": 0, "word_length": 8}]


@pytest.fixture(scope="module")
def problem(folder):
    return read_problem(folder, 0)


class TestFigure4:
    @pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 1.0])
    def test_groups_hold_the_share_that_is_asked_for(self, share):
        rng = np.random.default_rng(0)
        groups = fig4.chosen_groups(np.full(50, 7), share, rng)
        assert len(set(groups.tolist())) == round(50 * share)

    def test_groups_of_all_sizes_come_as_near_as_they_can(self):
        rng = np.random.default_rng(0)
        rows = np.array([100, 1, 1, 1, 1])
        for _ in range(5):
            chosen = fig4.chosen_groups(rows, 0.5, rng)
            assert 0 not in chosen or len(chosen) == 1 or rows[chosen].sum() <= 104

    def test_the_share_stays_what_it_was(self, problem):
        training = Training(factors=16, epochs=4, threads=1, backend="cpu")
        outcome = race([fig4._variant(0.4)], problem, training, 3, Scored.NEVER)["0.4"]
        assert len(set(outcome.switched)) == 1
        assert 0.2 < outcome.switched[0] < 0.95  # of row visits: groups differ in these
        codes = [
            np.repeat(side.codes, np.diff(grouping.starts))
            for side, grouping in zip(outcome.records[-1][3:5], problem[1:3], strict=True)
        ]
        for rows in codes:
            assert (rows == 1).mean() == pytest.approx(0.4, abs=0.05)
        assert all(np.isnan(record.users.q_error).all() for record in outcome.records)

    def test_no_share_is_plain_fp32(self):
        assert fig4._variant(0.0).values == {"method": "fp32"}


def test_figure_5_takes_the_norms_of_all_sampled_gradients(problem):
    """Against NumPy, at factors that do not change as the step is next to nothing."""
    training = Training(factors=16, epochs=1, threads=2, backend="cpu")
    still = Variant("fp32", {"method": "fp32", "learning_rate": 1e-30, "user_reg": 0.5})
    plan, execution = variant_plan(still, training, 2), Execution(2)
    (found,) = fig5.train(prepare(problem, plan, execution), execution, sample_ratio=1.0)
    starts = [fig5.quartile_starts(len(grouping.order)) for grouping in problem[1:3]]
    state = initial_state(*starts, plan)
    p, q = live_rows(state.users), live_rows(state.items)
    users, items, values = problem.ratings.host()
    error = values - (p[users] * q[items]).sum(axis=1)
    gradients = (
        error[:, None] * q[items] - 0.5 * p[users],
        error[:, None] * p[users] - 0.015 * q[items],
    )
    for norms, gradient, rows, starts_of_side in zip(
        found, gradients, (users, items), starts, strict=True
    ):
        quartile = np.searchsorted(starts_of_side, rows, side="right") - 1
        squared = (gradient.astype(np.float64) ** 2).sum(axis=1)
        expected = [np.sqrt(squared[quartile == i].mean()) for i in range(4)]
        np.testing.assert_allclose(norms, expected, rtol=1e-5)


def test_quartiles_are_quarters_of_the_rows_most_rated_first(problem):
    assert fig5.quartile_starts(60).tolist() == [0, 15, 30, 45, 60]
    assert fig5.quartile_starts(10).tolist() == [0, 2, 5, 7, 10]
    assert (np.diff(count_each(problem.ratings.users, 60)) <= 0).all()


def test_rows_lie_the_same_however_many_groups_are_cut(problem):
    one, many = regrouped(problem, 1), regrouped(problem, 25)
    assert one.ratings is many.ratings is problem.ratings
    for few, more, own in zip(one[1:3], many[1:3], problem[1:3], strict=True):
        np.testing.assert_array_equal(few.order, own.order)
        np.testing.assert_array_equal(more.order, own.order)
        assert len(more.starts) > len(few.starts)


def test_groups_are_those_of_the_ratings_however_often_they_are_cut(problem):
    again = regrouped(regrouped(problem, 1), GROUPS)
    for grouping, own in zip(again[1:3], problem[1:3], strict=True):
        for found, expected in zip(grouping, own, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_a_projection_stands_beside_as_few_factors_from_the_start():
    ways = [
        PruningSettings(method="early-exit", rate=0.3, epoch=2),
        PruningSettings(method="project", factors=8, epoch=3),
        PruningSettings(method="project", factors=8, epoch=1),
    ]
    found = pruning.ways(ways, 16)
    assert {name: method for name, (method, _) in found.items()} == {
        "early exit, rate 0.3": "early-exit",
        "3 epochs 16, then 8": "project",
        "8 from the start": "uniform",
        "1 epochs 16, then 8": "project",
    }
    assert found["8 from the start"][1] == {"factors": 8}
    for name, way in zip((n for n, (m, _) in found.items() if m != "uniform"), ways, strict=True):
        variant = Variant(name, {"method": "fp32", **found[name][1]})
        assert variant_plan(variant, Training(factors=16, epochs=4), 0).pruning == way


def test_the_error_of_early_exit_is_that_of_predictions_that_end_early():
    record = EpochRecord(0, 0.1, 1.0, None, None, None, 0.9)
    whole = Outcome((record,), [0.0], 1.0)
    assert pruning.error_of(whole) == 0.9
    assert pruning.error_of(whole._replace(rmse_to_stop=1.1)) == 1.1
