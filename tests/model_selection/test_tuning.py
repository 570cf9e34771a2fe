"""The search for settings, with real studies."""

import subprocess
import sys

import numpy as np
import optuna
import pytest

from mascot_jax import MatrixFactorization
from mascot_jax.errors import DataError, SettingsError
from mascot_jax.model_selection import Range, cross_validate, tune
from tests.support.ratings import QUICK, small_frame

SPACE = {"learning_rate": Range(0.01, 0.5, log=True), "seed": Range(0, 3), "order": ["runs"]}


@pytest.fixture(scope="module")
def frame():
    return small_frame()


def search(frame, space=SPACE, **arguments):
    return tune(MatrixFactorization(**QUICK), frame, space, **{"folds": 2, **arguments})


def without_times(trials):
    return [{name: v for name, v in trial.items() if name != "seconds"} for trial in trials]


def test_it_finds_the_best_of_its_trials(frame):
    told = []
    found = search(frame, trials=3, on_trial=told.append)
    assert told == found.trials
    assert found.best_value == min(trial["value"] for trial in found.trials)
    assert all(0.01 <= trial["learning_rate"] <= 0.5 for trial in found.trials)
    assert {type(trial["seed"]) for trial in found.trials} == {int}
    best = MatrixFactorization(**QUICK).set_params(**found.best_settings)
    assert cross_validate(best, frame, folds=2).mean["rmse"] == found.best_value
    assert found.to_frame().value.tolist() == [trial["value"] for trial in found.trials]


def test_a_study_goes_on_as_if_it_had_not_been_interrupted(frame, tmp_path):
    path = tmp_path / "new folder" / "a ?#%study.db"

    class LightsOutError(Exception):
        pass

    def give_up(trial):
        if trial["trial"] == 1:
            raise LightsOutError

    with pytest.raises(LightsOutError):
        search(frame, trials=11, study=path, on_trial=give_up)
    kept = search(frame, trials=2, study=path)  # there already
    assert len(kept.trials) == 2
    # What a killed process leaves: a trial that seems to run.
    url = "sqlite:///" + str(path).replace("%", "%25").replace("?", "%3F").replace("#", "%23")
    storage = optuna.storages.RDBStorage(url)
    kinds = optuna.distributions
    settings = {
        "learning_rate": kinds.FloatDistribution(0.01, 0.5, log=True),
        "seed": kinds.IntDistribution(0, 3),
        "order": kinds.CategoricalDistribution(["runs"]),
    }
    killed = optuna.load_study(study_name="mascot", storage=storage)
    for _ in range(4):
        killed.ask(settings)
    storage.remove_session()
    storage.engine.dispose()
    resumed = search(frame, trials=11, study=path)
    assert [trial["state"] for trial in resumed.trials].count("running") == 4
    finished = [trial for trial in resumed.trials if trial["state"] != "running"]
    undisturbed = search(frame, trials=11)
    for ours, theirs in zip(
        without_times(finished), without_times(undisturbed.trials), strict=True
    ):
        assert ours | {"trial": 0} == theirs | {"trial": 0}
    assert resumed.best_settings == undisturbed.best_settings


def test_ctrl_c_is_kept_as_a_failed_trial(frame, tmp_path):
    class Interrupted(MatrixFactorization):
        def fit(self, *args, **kwargs):
            raise KeyboardInterrupt

    path = tmp_path / "study.db"
    with pytest.raises(KeyboardInterrupt):
        tune(Interrupted(**QUICK), frame, {"seed": [1]}, folds=2, study=path, trials=1)
    found = search(frame, {"seed": [1]}, study=path, trials=1)
    assert [trial["state"] for trial in found.trials] == ["fail", "complete"]


def test_a_grid_is_tried_whole_and_for_lists_higher_is_better(frame):
    space = {"seed": np.array([0, 1, 0]), "order": ["runs", "shuffled"]}
    found = search(frame, space, sampler="grid", metric="recall", trials=9)
    tried = [(trial["seed"], trial["order"]) for trial in found.trials]
    assert tried == [(0, "runs"), (0, "shuffled"), (1, "runs"), (1, "shuffled")]
    assert found.best_value == max(trial["value"] for trial in found.trials)


def test_what_fails_is_left_out_and_says_why(frame):
    found = search(frame, {"learning_rate": [1e30, 0.1]}, sampler="grid")
    assert [trial["state"] for trial in found.trials] == ["pruned", "complete"]
    assert "training diverged" in found.trials[0]["error"]
    with pytest.raises(SettingsError, match=r"none of 1 trials could be completed; .* diverged"):
        search(frame, {"learning_rate": [1e30]}, sampler="grid")


def test_another_study_is_refused(frame, tmp_path):
    path = tmp_path / "study.db"
    space = {"seed": [1]}
    search(frame, space, trials=1, study=path)
    with pytest.raises(SettingsError, match=r"study: .* has other ratings and folds: name another"):
        search(frame[::-1], space, trials=2, study=path)
    longer = MatrixFactorization(**QUICK | {"epochs": 2})
    with pytest.raises(SettingsError, match=r"other settings \(epochs 1, not 2\)"):
        tune(longer, frame, space, folds=2, trials=2, study=path)
    with pytest.raises(SettingsError, match=r"other space \(.*\) and search \(metric rmse, not"):
        search(frame, {"seed": [2]}, trials=2, study=path, metric="mae")
    threads = MatrixFactorization(**QUICK | {"threads": 2})  # changes no result
    assert len(tune(threads, frame, space, folds=2, trials=1, study=path).trials) == 1
    (tmp_path / "text").write_text("user,item,rating\n" * 100)
    with pytest.raises(DataError, match=r"text: not a study: .* not a database: name another file"):
        search(frame, space, study=tmp_path / "text")


@pytest.mark.parametrize(
    ("space", "arguments", "message"),
    [
        ({}, {}, "space: there is no setting to search"),
        ({"epoch": [1]}, {}, "space: epoch: 1: unknown parameter: method, "),
        ({"factors": [8, 0]}, {}, "space: factors: 0: must be greater than or equal to 1"),
        ({"user_reg": Range(-1.0, 1.0)}, {}, "space: user_reg: -1.0: must be greater"),
        ({"factors": []}, {}, r"space: factors: \[\]: must be a list of choices or a Range"),
        ({"method": "fp16"}, {}, "space: method: 'fp16': must be a list"),
        ({"factors": Range(8, 4)}, {}, "space: factors: 8 to 4: must be two numbers, the lower"),
        (
            {"user_reg": Range(0, 1.0, True)},
            {},
            "space: .* lower one first, above 0 for log",
        ),
        (SPACE, {"metric": "auc"}, "metric: 'auc': must be one of rmse, mae, precision"),
        (SPACE, {"sampler": "grid"}, "space: learning_rate: .*: a grid has lists only"),
        (SPACE, {"sampler": "best"}, "sampler: 'best': must be one of tpe, random, grid"),
        (SPACE, {"trials": 0}, "trials: 0: must be a whole number, at least 1"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_any_training(frame, space, arguments, message):
    with pytest.raises(SettingsError, match=f"^{message}"):
        search(frame, space, **arguments)


def test_optuna_is_imported_only_for_a_search():
    code = (
        "import sys, mascot_jax.model_selection; "
        "found = {'optuna', 'sklearn', 'polars', 'sqlalchemy'} & set(sys.modules); "
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_optuna_keeps_its_own_verbosity(frame):
    before = optuna.logging.get_verbosity()
    search(frame, {"seed": [1]}, trials=1)
    assert optuna.logging.get_verbosity() == before
