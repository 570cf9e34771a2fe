"""The benchmark of pruned training: what it compares, and what it holds to targets."""

import pytest

from benchmarks import pruning
from benchmarks.harness.trials import Outcome
from mascot_jax.settings import TrainSettings, validate


@pytest.mark.parametrize("name", pruning.FAMILIES)
def test_every_pruned_training_stands_beside_as_few_factors_from_the_start(name):
    family = pruning.FAMILIES[name]
    found = pruning.variants(family)
    plans = {v: validate(TrainSettings, values).plan() for v, values in found.items()}
    assert plans["128"].factors == 128
    for epoch, kept in family.pruned:
        pruned = plans[f"128, after {epoch} epochs {kept}"]
        assert pruned.width(epoch - 1) == 128
        assert pruned.width(epoch) == plans[f"{kept} from the start"].factors == kept
    assert all(plan.deterministic for plan in plans.values())


def test_losses_are_to_all_factors_and_the_first_pruned_one_has_targets():
    family = pruning.FAMILIES["fp32"]
    rmses = {"128": 0.84, "64 from the start": 0.85, "128, after 8 epochs 64": 0.841}
    found = {
        name: {(0, seed): Outcome(rmse + seed / 100, {}, 0.5) for seed in (0, 1)}
        for name, rmse in rmses.items()
    }
    seconds = {"128": [2.0, 3.0, 9.0], "64 from the start": [1.0], "128, after 8 epochs 64": [1.5]}
    rows = [pruning._row(name, found, seconds) for name in rmses]
    assert [row["loss"]["mean"] for row in rows] == pytest.approx([0, 0.01, 0.001])
    assert [row["speed"] for row in rows] == pytest.approx([1, 3, 2])
    assert [row["relative_bytes"] for row in rows] == pytest.approx([0.5, 0.25, 0.5])
    loss, speed = pruning._targets("fp32", family, rows)
    assert (loss.met, speed.met) == (False, True)
