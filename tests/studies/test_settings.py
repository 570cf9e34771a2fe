"""studies/paper/params.yaml: all profiles are valid, and bad values are named."""

import shutil
import subprocess
import sys

import pytest
from ruamel.yaml import YAML

from mascot_jax.errors import SettingsError
from mascot_jax.settings import validate
from studies.paper.core import folders
from studies.paper.core.race import Variant, variant_plan
from studies.paper.core.settings import PARAMS, Study, read_study
from tests.pipeline.workspace import CHECKOUT, assert_refused

VALUES = YAML(typ="safe").load(CHECKOUT / PARAMS)
PROFILES = ("quick", "ml-1m", "netflix-shape", "paper", "smoke")


def edited(**values):
    """Return all parameters with some of them changed: ``data__source="x"``."""
    yaml = YAML(typ="safe")
    params = yaml.load(CHECKOUT / PARAMS)
    for path, value in values.items():
        *blocks, last = (int(part) if part.isdigit() else part for part in path.split("__"))
        target = params
        for block in blocks:
            target = target[block]
        target[last] = value
    return params


def test_the_file_is_valid_and_quick_by_default():
    study = read_study(CHECKOUT / PARAMS)
    assert study.profile == "quick"
    assert tuple(study.profiles) == PROFILES


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_can_be_chosen_and_makes_settings(name):
    profile = validate(Study, edited(profile=name)).chosen
    plan = variant_plan(Variant("x", {"method": "mascot"}), profile.train, 4)
    assert (plan.epochs, plan.learning_rate, plan.seed) == (profile.train.epochs, 0.01, 4)


def test_the_papers_profiles_are_as_in_the_paper():
    for name in ("ml-1m", "paper"):
        profile = validate(Study, edited(profile=name)).chosen
        assert (profile.repetitions, profile.train.epochs, profile.train.factors) == (5, 50, 128)
        assert profile.grids.factors == [64, 128]
        assert len(profile.grids.periods) * len(profile.grids.sample_ratios) == 24
        assert (min(profile.grids.groups), max(profile.grids.groups)) == (1, 500)
    assert [data.name for data in profile.sets] == ["ml-10m", "ml-25m", "netflix", "yahoo-music"]


def test_a_source_is_of_the_profile_that_reads_one_data_set():
    study = validate(Study, edited(profile="ml-1m", data__source="/x/ml-1m.zip"))
    assert study.chosen.sets[0].data.source == "/x/ml-1m.zip"
    assert study.profiles["ml-1m"].sets[0].data.source is None


def test_names_of_data_sets_and_their_folders():
    quick = validate(Study, edited()).chosen.sets[0]
    assert quick.name == "synthetic ml-1m"
    assert str(folders.data("quick", quick).split) == (
        "studies/paper/data/quick/synthetic-ml-1m/split/ratings.safetensors"
    )


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("profile", "quik", "profile: 'quik': there is none of that name, only quick, ml-1m, "),
        ("profile", None, "profile: None: must be a valid string"),
        ("data__source", "/x.zip", "data.source: '/x.zip': is of a profile that reads one data "),
        ("data__sauce", None, "data.sauce: None: unknown parameter; there are source"),
        ("profiles__quick__epochs", 3, "profiles.quick.epochs: 3: unknown parameter; there are s"),
        ("profiles__quick__repetitions", 0, "profiles.quick.repetitions: 0: must be greater than"),
        ("profiles__quick__sets", [], "profiles.quick.sets: []: list should have at least 1 item"),
        (
            "profiles__quick__sets__0__data__noize",
            1,
            "profiles.quick.sets.0.data.noize: 1: unknown parameter; there are name, source, ",
        ),
        (
            "profiles__paper__sets__3__comparators__muppet__widow",
            1,
            "profiles.paper.sets.3.comparators.muppet.widow: 1: unknown parameter; there are word_",
        ),
        (
            "profiles__ml-1m__sets__0__split__count",
            "5",
            "profiles.ml-1m.sets.0.split.count: '5': must be a valid integer",
        ),
        (
            "profiles__paper__sets__1__data__name",
            "ml-10m",
            "profiles.paper.sets: ml-10m, ml-10m, netflix, yahoo-music: must be different data se",
        ),
        (
            "profiles__smoke__train__factors",
            1.5,
            "profiles.smoke.train.factors: 1.5: must be a valid integer",
        ),
        (
            "profiles__quick__train__seed",
            -1,
            "profiles.quick.train.seed: -1: must be greater than or equal to 0",
        ),
        (
            "profiles__quick__grids__groups",
            [1, 1],
            "profiles.quick.grids.groups: [1, 1]: must not repeat",
        ),
        (
            "profiles__quick__grids__periods",
            [1, 4],
            "profiles.quick.grids.periods: [1, 4]: must contain 2 and 1",
        ),
        (
            "profiles__quick__grids__half_shares",
            [0.5],
            "profiles.quick.grids.half_shares: [0.5]: must contain 0.0",
        ),
        (
            "profiles__smoke__grids__pruning__1__factors",
            16,
            "profiles.smoke.grids.pruning.1: train.pruning.factors: 16: must be below train.facto",
        ),
        (
            "profiles__quick__grids__pruning__0__epoch",
            None,
            "profiles.quick.grids.pruning.0.epoch: None: must be a number here",
        ),
        (
            "profiles__quick__grids__pruning__0__rate",
            1.5,
            "profiles.quick.grids.pruning.0.rate: 1.5: must be less than 1",
        ),
        (
            "profiles__quick__grids__sample_ratios",
            [0.05, 1.0, 2.0],
            "profiles.quick.grids.sample_ratios.2: 2.0: must be less than or equal to 1",
        ),
    ],
)
def test_a_bad_value_is_named_in_one_line(path, value, line):
    with pytest.raises(SettingsError) as caught:
        validate(Study, edited(**{path: value}))
    (said,) = str(caught.value).splitlines()
    assert said.startswith(line)


def test_a_stage_ends_with_one_line_and_status_2(tmp_path):
    for source in ("studies", "pipeline"):
        results = shutil.ignore_patterns("data", "results", "__pycache__")
        shutil.copytree(CHECKOUT / source, tmp_path / source, ignore=results)
    params = tmp_path / PARAMS
    text = params.read_text(encoding="utf-8")
    params.write_text(text.replace("epochs: 50 ", "epochs: abc "), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "studies.paper.data"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert_refused(done, "profiles.quick.train.epochs: 'abc': must be a valid integer")
