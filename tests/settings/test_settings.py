import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from mascot_jax.errors import SettingsError
from mascot_jax.settings import (
    Params,
    PruningSettings,
    RunSettings,
    Settings,
    TrainSettings,
    backend_for,
    conflict,
    validate,
)
from mascot_jax.settings.defaults import with_defaults, without_presets
from mascot_jax.settings.interactions import INTERACTION_DEFAULTS, without_interactions
from mascot_jax.settings.methods import METHODS, RECIPES, Recipe, Unit

PARAMS_FILE = Path(__file__).parents[2] / "params.yaml"

BIG = 2**32
INTEGERS = {  # lowest and highest allowed
    "data.users": (2, BIG - 1),
    "data.items": (2, BIG - 1),
    "data.ratings": (4, None),
    "data.seed": (0, BIG - 1),
    "split.count": (1, 254),
    "split.seed": (0, BIG - 1),
    "regroup.user_groups": (1, 65_536),
    "regroup.item_groups": (1, 65_536),
    "train.factors": (1, 65_536),
    "train.epochs": (1, 1_000_000),
    "train.period": (1, 1_000_000),
    "train.warmup": (0, 1_000_000),
    "train.patience": (1, 1_000_000),
    "train.rotations": (1, 8),
    "train.comparators.muppet.window": (2, 1000),
    "train.seed": (0, BIG - 1),
    "run.threads": (1, 4096),
    "run.checkpoint_every": (1, 1_000_000),
    "evaluate.top_n": (1, 1_000_000),
    "evaluate.sampled": (1, 1_000_000),
}
TINY = 5e-324
NUMBERS = {  # lowest and highest allowed
    "data.noise": (0.0, 10.0),
    "train.learning_rate": (TINY, None),
    "train.decay": (0.0, None),
    "train.user_reg": (0.0, None),
    "train.item_reg": (0.0, None),
    "train.negatives": (0.0, 10_000.0),
    "train.negative_weight": (TINY, None),
    "train.negative_power": (0.0, 1.0),
    "train.threshold": (TINY, None),
    "train.sample_ratio": (TINY, 1.0),
    "train.validation": (0.0, math.nextafter(1, 0)),
    "train.comparators.mpt.loss_scale": (TINY, None),
    "train.comparators.muppet.alpha": (0.0, None),
    "train.comparators.muppet.beta": (0.0, None),
    "train.comparators.muppet.decay": (0.0, None),
    "train.comparators.afp.threshold": (TINY, None),
    "train.comparators.afp.alpha": (TINY, 1.0),
    "train.comparators.afp.beta": (TINY, None),
    "train.comparators.afp.delta": (0.0, None),
    "train.comparators.afp.gamma": (0.0, None),
    "evaluate.relevant": (None, None),
}
WORD_LENGTHS = {"train.comparators.muppet.word_lengths", "train.comparators.afp.word_lengths"}
TEXTS = {
    "data.name",
    "data.source",
    "data.digest",
    "data.columns.user",
    "data.columns.item",
    "data.columns.rating",
    "data.columns.separator",
    "data.shape",
    "train.objective",
    "train.confidence",
    "train.loss",
    "train.method",
    "train.recipe",
    "train.schedule",
    "train.storage",
    "train.writes",
    "train.rounding",
    "train.order",
    "train.criterion",
    "run.backend",
    "run.scratch",
}
FLAGS = {"evaluate.clip", "train.deterministic", "train.biases"}
FROM_METHOD = {
    "train.storage",
    "train.rounding",
    "train.criterion",
    "train.threshold",
    "train.period",
    "train.sample_ratio",
    "train.warmup",
}
FROM_RECIPE = {f"train.{name}" for name in Recipe._fields}
FROM_DATA = {"train.recipe"}
BLOCKS_OR_NULL = {"train.pruning"}
OF_INTERACTIONS = {f"train.{name}" for name in INTERACTION_DEFAULTS}
NULLABLE = (
    FROM_METHOD
    | BLOCKS_OR_NULL
    | OF_INTERACTIONS
    | {
        "data.source",
        "data.digest",
        "data.columns.separator",
        "data.users",
        "data.items",
        "data.ratings",
        "train.deterministic",
        "train.patience",
        "train.rotations",
        "train.biases",
        "run.threads",
        "run.checkpoint_every",
        "run.scratch",
        "evaluate.top_n",
        "evaluate.relevant",
        "evaluate.sampled",
    }
)
NEEDS = {
    "train.patience": {"train.validation": 0.1},
    "evaluate.relevant": {"evaluate.top_n": 10},
    "evaluate.sampled": {"evaluate.top_n": 10},
} | {path: {"train.objective": "interactions"} for path in OF_INTERACTIONS}
"""What must be set beside a parameter."""


def flat(settings: Settings, prefix=""):
    """Path -> value of every parameter that is not itself a block."""
    values = {}
    for name, value in settings:
        if isinstance(value, Settings):
            values |= flat(value, f"{prefix}{name}.")
        else:
            values[prefix + name] = value
    return values


DEFAULTS = flat(Params(folds=[0]))
BLOCKS = [
    "data",
    "data.columns",
    "split",
    "regroup",
    "train",
    "train.comparators",
    "train.comparators.mpt",
    "train.comparators.muppet",
    "train.comparators.afp",
    "run",
    "evaluate",
]


def params(**changes):
    """Values of params.yaml with ``folds`` and only these paths set."""
    values = {"folds": [0]}
    for path, value in changes.items():
        *blocks, name = path.split(".")
        block = values
        for part in blocks:
            block = block.setdefault(part, {})
        block[name] = value
    return values


def accepted(path, value):
    return flat(validate(Params, params(**NEEDS.get(path, {}), **{path: value})))[path]


def refusal(path, value):
    """The one line that refuses this value."""
    with pytest.raises(SettingsError) as caught:
        validate(Params, params(**{path: value}))
    (line,) = str(caught.value).splitlines()
    return line


def test_a_typing_error_does_not_wait_for_jax():
    code = "import sys, pipeline.common.stage; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=PARAMS_FILE.parent, check=True)


def test_every_parameter_is_in_the_tables_above():
    assert {*INTEGERS, *NUMBERS, *TEXTS, *FLAGS, *WORD_LENGTHS, *BLOCKS_OR_NULL, "folds"} == set(
        DEFAULTS
    )


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        *((path, value, "integer") for path in INTEGERS for value in ("abc", "5", True, 1.5, [5])),
        *((path, value, "number") for path in NUMBERS for value in ("abc", "1e-3", True, [0.1])),
        *((path, value, "") for path in sorted(TEXTS) for value in (5, True, ["text"])),
        *((path, value, "boolean") for path in sorted(FLAGS) for value in (1, "true", "no")),
        *(
            (path, value, "must be a block of parameters")
            for path in BLOCKS
            for value in (5, "text", [1], None)
        ),
        *(
            (path, value, "must be a block of parameters")
            for path in sorted(BLOCKS_OR_NULL)
            for value in (5, "text", [1])
        ),
        *(("folds", value, "list") for value in (0, "0", {"0": 1}, None)),
        *((path, None, "") for path in sorted(set(DEFAULTS) - NULLABLE - FROM_RECIPE - FROM_DATA)),
    ],
)
def test_another_type_is_refused(path, value, rule):
    line = refusal(path, value)
    assert line.startswith(f"{path}: {value!r}: must be ")
    assert rule in line


@pytest.mark.parametrize("path", sorted(NULLABLE))
def test_null_is_allowed_where_something_else_fills_it(path):
    assert accepted(path, None) is None
    assert DEFAULTS[path] is None or path == "run.checkpoint_every"  # null turns it off


def edges(table, step):
    for path, (lowest, highest) in table.items():
        if lowest is not None:
            yield path, lowest, step(lowest, -1), "greater than"
        if highest is not None:
            yield path, highest, step(highest, 1), "less than"


@pytest.mark.parametrize(
    ("path", "last", "beyond", "rule"),
    [
        *edges(INTEGERS, lambda edge, way: edge + way),
        *edges(NUMBERS, lambda edge, way: math.nextafter(edge, way * math.inf)),
    ],
)
def test_ranges_end_where_they_say(path, last, beyond, rule):
    assert accepted(path, last) == last
    assert refusal(path, beyond).startswith(f"{path}: {beyond!r}: must be {rule} ")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("path", NUMBERS)
def test_numbers_must_be_finite(path, value):
    assert refusal(path, value).startswith(f"{path}: {value!r}: must be ")


@pytest.mark.parametrize("path", NUMBERS)
def test_a_whole_number_is_a_number(path):
    whole = 0 if path == "train.validation" else 1
    assert accepted(path, whole) == float(whole)


@pytest.mark.parametrize(
    ("path", "value", "allowed"),
    [
        ("data.name", "ml-2m", "'file'"),
        ("data.name", "ML-1M", "'ml-1m'"),
        ("data.shape", "ml-100k", "'yahoo'"),
        ("data.digest", "md5:123", "pattern"),
        ("data.digest", "sha1:" + 40 * "0", "pattern"),
        ("train.method", "mascot-n3", "'mascot-n2'"),
        ("train.recipe", "tune", "'tuned'"),
        ("train.objective", "clicks", "'interactions'"),
        ("train.confidence", "log", "'log1p'"),
        ("train.loss", "bpr", "'logistic'"),
        ("train.schedule", "cosine", "'linear'"),
        ("train.storage", "float64", "'float16'"),
        ("train.storage", "", "'float16'"),
        ("run.backend", "gpu", "'cuda'"),
        ("train.writes", "overwrite", "'store'"),
        ("train.rounding", "down", "'stochastic'"),
        ("train.criterion", "q-error", "'lost-update'"),
    ],
)
def test_another_word_is_refused(path, value, allowed):
    line = refusal(path, value)
    assert line.startswith(f"{path}: {value!r}: ")
    assert allowed in line


@pytest.mark.parametrize("digest", ["md5:" + 32 * "a", "sha256:" + 64 * "0"])
def test_a_digest_names_its_kind(digest):
    assert accepted("data.digest", digest) == digest


@pytest.mark.parametrize("path", ["extra", *(f"{block}.extra" for block in BLOCKS)])
def test_an_unknown_parameter_is_refused(path):
    block = Params(folds=[0])
    for name in path.split(".")[:-1]:
        block = getattr(block, name)
    there = ", ".join(type(block).model_fields)
    assert refusal(path, 3) == f"{path}: 3: unknown parameter; there are {there}"


@pytest.mark.parametrize("path", sorted(WORD_LENGTHS))
def test_word_lengths_are_bits_below_a_float32s(path):
    assert accepted(path, [2, 23]) == (2, 23)
    for value, rule in (([], "at least 1"), (8, "tuple")):
        assert refusal(path, value).startswith(f"{path}: {value!r}: ")
        assert rule in refusal(path, value)
    for bits, rule in ((1, "greater than"), (24, "less than"), ("x", "integer")):
        assert refusal(path, [8, bits]).startswith(f"{path}.1: {bits!r}: must be ")
        assert rule in refusal(path, [8, bits])


@pytest.mark.parametrize(
    ("folds", "line"),
    [
        ([], "folds: []: list should have at least 1 item"),
        ([-1], "folds.0: -1: must be greater than or equal to 0"),
        ([0, "1"], "folds.1: '1': must be a valid integer"),
        ([0, 1, 0], "folds: [0, 1, 0]: must not repeat"),
        ([4, 5], "folds: [4, 5]: must be below split.count, which is 5"),
    ],
)
def test_folds_must_exist_once(folds, line):
    assert refusal("folds", folds).startswith(line)


def test_every_bad_parameter_has_its_line():
    values = params(**{"data.noise": "x", "train.epochs": 0, "train.extra": 1, "split.seed": -1})
    del values["folds"]
    with pytest.raises(SettingsError) as caught:
        validate(Params, values)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        "folds",
        "data.noise",
        "split.seed",
        "train.epochs",
        "train.extra",
    ]


def test_a_value_of_several_lines_is_shown_in_one():
    assert refusal("train.threshold", "a\nb").startswith(r"train.threshold: 'a\nb': ")


def test_a_prefix_names_the_block():
    with pytest.raises(SettingsError, match=r"^train\.epochs: 0: "):
        validate(TrainSettings, {"epochs": 0}, "train")


@pytest.mark.parametrize("value", [3.5e38, -1e39, float("inf"), float("nan")])
def test_numbers_must_fit_a_float32(value):
    with pytest.raises(SettingsError, match=r"train\.learning_rate: .*must"):
        validate(TrainSettings, {"learning_rate": value}, "train")


@pytest.mark.parametrize("value", [3, "mascot", [1]])
def test_a_block_must_be_a_block(value):
    with pytest.raises(SettingsError, match=r"^train: .*: must be a block of parameters$"):
        validate(Params, {"folds": [0], "train": value})


def listed():
    return YAML(typ="safe").load(PARAMS_FILE)


def test_params_yaml_lists_every_parameter():
    def paths(values, prefix=""):
        for name, value in values.items():
            if isinstance(value, dict):
                yield from paths(value, f"{prefix}{name}.")
            else:
                yield prefix + name

    assert sorted(paths(listed())) == sorted(DEFAULTS)


@pytest.mark.parametrize("path", sorted(set(DEFAULTS) - {"folds"}))
def test_params_yaml_gives_the_defaults(path):
    assert flat(validate(Params, listed()))[path] == DEFAULTS[path]


def test_params_yaml_leaves_recipe_and_biases_to_the_data_set():
    own, papers = (validate(Params, params(**{"data.name": n})) for n in ("file", "ml-1m"))
    assert (own.train.recipe, papers.train.recipe) == ("tuned", "paper")
    chosen = validate(Params, params(**{"data.name": "file", "train.recipe": "paper"}))
    assert chosen.train.recipe == "paper"
    assert (own.train.learning_rate, papers.train.learning_rate) == (None, 0.01)
    listed_biases = flat(validate(Params, listed()))["train.biases"]
    assert listed_biases is None
    for biases in ({}, {"biases": None}):
        assert TrainSettings(recipe="tuned", **biases).plan().biases
        assert not TrainSettings(recipe="paper", **biases).plan().biases


def test_params_yaml_runs_every_fold():
    values = validate(Params, listed())
    assert values.folds == list(range(values.split.count))


@pytest.mark.parametrize("method", METHODS)
def test_a_method_fills_exactly_what_was_null(method):
    plain = TrainSettings(method=method)
    changed = {
        f"train.{name}": value for name, value in plain.plan() if value != getattr(plain, name)
    }
    preset = METHODS[method]._asdict()
    preset["threshold"] = METHODS[method].thresholds.get(METHODS[method].criterion)
    preset = {path: preset[path.removeprefix("train.")] for path in FROM_METHOD}
    filled = {path: value for path, value in preset.items() if value is not None}
    # What the device and the ratings decide.
    assert changed == filled | {"train.deterministic": True, "train.biases": False}


@pytest.mark.parametrize("method", METHODS)
def test_a_plan_leaves_nothing_open_but_numbers_that_nobody_uses(method):
    plan = TrainSettings(method=method, biases=None).plan()
    switching = {"criterion", "threshold", "period", "sample_ratio", "warmup"}
    unused = switching if plan.unit is Unit.NONE else set()
    nothing = unused | {"patience", "pruning", "rotations"}
    assert {name for name, value in plan if value is None} == nothing | set(INTERACTION_DEFAULTS)
    if not METHODS[method].compares:
        plan = TrainSettings(method=method, biases=None, objective="interactions").plan()
        assert {name for name, value in plan if value is None} == nothing | {"decay"}


def test_the_device_and_the_ratings_decide_what_is_left_to_them():
    left = TrainSettings(biases=None)
    for platform, few_ratings in (("cpu", True), ("gpu", False)):
        plan = left.plan(platform, few_ratings=few_ratings)
        assert (plan.deterministic, plan.biases) == (platform == "cpu", few_ratings)
    for value in (True, False):
        said = TrainSettings(deterministic=value, biases=value)
        plan = said.plan("gpu" if value else "cpu", few_ratings=not value)
        assert (plan.deterministic, plan.biases) == (value, value)


COMPARED = ["half", "mpt", "muppet", "afp"]


@pytest.mark.parametrize("method", COMPARED)
def test_methods_to_compare_with_keep_their_storage_and_rounding(method):
    own = METHODS[method].storage
    assert accepted("train.method", method) == method
    for name, value in (
        ("storage", "int8-32"),
        ("storage", "float32" if own == "float16" else "float16"),
        ("rounding", "stochastic"),
    ):
        with pytest.raises(
            SettingsError, match=rf"train\.{name}: '{value}': train\.method {method}"
        ):
            validate(TrainSettings, {"method": method, name: value})
    validate(TrainSettings, {"method": method, "storage": own, "rounding": "nearest"})


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"rotations": 0}, "train.rotations: 0: must be greater than or equal to 1"),
        ({"rotations": 9}, "train.rotations: 9: must be less than or equal to 8"),
        ({"deterministic": False}, "train.deterministic: False: train.rotations orders"),
        ({"objective": "interactions"}, "train.objective: 'interactions': train.rotations orders"),
        (
            {"order": "group-blocks"},
            "blocks of a deterministic training on ratings: choose",
        ),
    ],
)
def test_rotations_are_of_the_blocks_of_a_deterministic_training(values, line):
    with pytest.raises(SettingsError, match=re.escape(line)):
        validate(TrainSettings, {"rotations": 2} | values, "train")


PROJECT = {"method": "project", "factors": 64}
EARLY_EXIT = {"method": "early-exit", "rate": 0.3}


@pytest.mark.parametrize(
    ("pruning", "others", "line"),
    [
        ({"factors": 3}, {}, "train.pruning.method: missing"),
        ("project", {}, "train.pruning: 'project': must be a block of parameters"),
        ({"method": "half"}, {}, "train.pruning.method: 'half': must be 'project' or 'early-exit'"),
        (
            PROJECT | {"share": 1},
            {},
            "train.pruning.share: 1: unknown parameter; there are method, factors, rate, epoch",
        ),
        (
            {"method": "project"},
            {},
            "train.pruning.factors: None: method project needs a value, such as 64",
        ),
        (
            EARLY_EXIT | {"rate": None},
            {},
            "train.pruning.rate: None: method early-exit needs a value, such as 0.3",
        ),
        (
            PROJECT | {"rate": 0.1},
            {},
            "train.pruning.rate: 0.1: method project has none: leave it null",
        ),
        (
            EARLY_EXIT | {"factors": 8},
            {},
            "train.pruning.factors: 8: method early-exit has none: leave it null",
        ),
        (
            PROJECT | {"factors": 0},
            {},
            "train.pruning.factors: 0: must be greater than or equal to 1",
        ),
        (
            PROJECT | {"factors": 128},
            {},
            "train.pruning.factors: 128: must be below train.factors, which is 128",
        ),
        (PROJECT | {"epoch": 0}, {}, "train.pruning.epoch: 0: must be greater than or equal to 1"),
        (
            PROJECT | {"epoch": 50},
            {},
            "train.pruning.epoch: 50: must be below train.epochs, which is 50, so that an epoch is "
            "left to train pruned",
        ),
        (
            EARLY_EXIT,
            {"epochs": 1},
            "train.pruning.epoch: 1: must be below train.epochs, which is 1, so that an epoch is "
            "left to train pruned",
        ),
        (EARLY_EXIT | {"rate": 1.0}, {}, "train.pruning.rate: 1.0: must be less than 1"),
        (
            EARLY_EXIT | {"rate": -0.1},
            {},
            "train.pruning.rate: -0.1: must be greater than or equal to 0",
        ),
        (
            PROJECT | {"factors": 48},
            {"method": "mascot-int8"},
            "train.pruning.factors: 48: train.storage int8-32 has a scale for every 32 components: "
            "choose a multiple of 32, or int8-row",
        ),
        (
            PROJECT,
            {"factors": 1025},
            "train.factors: 1025: train.pruning project takes up to 1024",
        ),
        (
            EARLY_EXIT,
            {"biases": True},
            "train.biases: True: train.pruning early-exit learns nothing behind biases, which "
            "leave all factors near zero: set train.biases to false",
        ),
        (
            EARLY_EXIT,
            {"objective": "interactions"},
            "train.pruning: 'early-exit': ends updates by ratings only: with train.objective "
            "interactions leave train.pruning null, or choose project",
        ),
        *(
            (
                pruning,
                {"method": method},
                f"train.pruning: {pruning['method']!r}: train.method {method} is a published "
                "method to compare with, as it is: leave train.pruning null",
            )
            for method in COMPARED
            for pruning in (PROJECT, EARLY_EXIT)
        ),
    ],
)
def test_a_pruning_that_cannot_be_is_refused(pruning, others, line):
    with pytest.raises(SettingsError) as caught:
        validate(TrainSettings, {"pruning": pruning, **others}, "train")
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("pruning", "others"),
    [
        (PROJECT | {"factors": 127, "epoch": 49}, {}),
        (PROJECT | {"factors": 1}, {"epochs": 2}),
        (PROJECT | {"factors": 5}, {"storage": "int8-row"}),
        (PROJECT | {"factors": np.int64(96)}, {"method": "int8"}),
        (PROJECT, {"factors": 1024, "recipe": "tuned"}),
        (EARLY_EXIT | {"rate": 0}, {"biases": None, "recipe": "tuned"}),
        (EARLY_EXIT | {"rate": 0.999}, {"factors": 5000, "method": "mascot-int8"}),
    ],
)
def test_other_prunings_are_allowed(pruning, others):
    settings = validate(TrainSettings, {"pruning": pruning, **others})
    assert settings.plan().pruning.epoch is not None
    assert validate(TrainSettings, settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(("epochs", "begins"), [(2, 1), (7, 1), (8, 2), (50, 12)])
def test_pruning_begins_after_a_quarter_of_the_epochs(epochs, begins):
    plan = TrainSettings(epochs=epochs, pruning=PruningSettings(**PROJECT)).plan()
    assert plan.pruning.epoch == begins
    assert [plan.width(n) for n in range(epochs + 1)] == [128] * begins + [64] * (
        epochs + 1 - begins
    )
    assert without_presets(plan)["pruning"] == {**PROJECT, "rate": None, "epoch": None}


def test_a_chosen_beginning_of_pruning_stays_chosen():
    pruning = PruningSettings(**PROJECT, epoch=3)
    assert without_presets(TrainSettings(pruning=pruning).plan())["pruning"]["epoch"] == 3


def test_updates_that_end_early_have_no_biases_unless_they_are_refused():
    settings = TrainSettings(pruning=PruningSettings(**EARLY_EXIT), biases=None, recipe="tuned")
    assert settings.plan(few_ratings=True).biases is False


BEYOND_CUDA = [
    *(
        (
            {"pruning": PruningSettings(**EARLY_EXIT), **int8},
            "cuda has train.pruning early-exit for float32 and float16 rows only",
        )
        for int8 in ({"method": "mascot-int8"}, {"storage": "int8-row"})
    ),
    ({"deterministic": True}, "cuda has no train.deterministic"),
    ({"order": "group-blocks"}, "cuda has train.order shuffled and runs only"),
    ({"method": "int8", "factors": 257}, "cuda trains int8 rows of up to 256 factors only"),
    ({"storage": "int8-row", "factors": 257}, "cuda trains int8 rows of up to 256 factors only"),
    *(
        ({"method": method, "factors": 257}, f"cuda has {method} for up to 256 factors only")
        for method in COMPARED
    ),
]


@pytest.mark.parametrize(("values", "reason"), BEYOND_CUDA)
def test_cuda_is_refused_for_what_it_cannot_do(values, reason):
    train = {f"train.{name}": value for name, value in values.items()}
    with pytest.raises(SettingsError) as caught:
        validate(Params, params(**train, **{"run.backend": "cuda"}))
    line = f"run.backend: 'cuda': {reason}: set run.backend to cpu or auto"
    assert str(caught.value) == line
    for backend in ("cpu", "auto"):
        found = validate(Params, params(**train, **{"run.backend": backend}))
        assert backend_for(found.train, found.run) == "cpu"
    with pytest.raises(SettingsError) as caught:
        backend_for(TrainSettings(**values), RunSettings(backend="cuda"))
    assert str(caught.value) == line


def test_one_gpu_has_no_rotations_but_several_do():
    found = validate(Params, params(**{"train.rotations": 2, "run.backend": "cuda"}))
    line = "run.backend: 'cuda': cuda has train.rotations for trainings that GPUs share only"
    with pytest.raises(SettingsError, match=line):
        backend_for(found.train, found.run)
    assert conflict(found.train, found.run, shared=True) is None
    assert backend_for(found.train, RunSettings(backend="auto")) == "cpu"


@pytest.mark.parametrize("backend", ["cpu", "auto", "cuda"])
def test_the_back_end_is_the_wanted_one_where_any_can_do_it(backend):
    found = validate(Params, params(**{"run.backend": backend, "train.factors": 256}))
    assert backend_for(found.train, found.run) == backend


@pytest.mark.parametrize("pruning", [PROJECT, EARLY_EXIT])
@pytest.mark.parametrize("method", ["fp32", "mascot", "mascot-n2"])
def test_cuda_trains_pruned(method, pruning):
    train = TrainSettings(method=method, pruning=PruningSettings(**pruning))
    assert backend_for(train, RunSettings(backend="cuda")) == "cuda"


@pytest.mark.parametrize("method", [name for name in METHODS if name not in COMPARED])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("storage", "float16"),
        ("storage", "float32"),
        ("rounding", "stochastic"),
        ("threshold", 3.5),
        ("period", 7),
        ("sample_ratio", 1.0),
        ("warmup", 0),  # not null, though false
    ],
)
def test_a_set_value_wins(method, name, value):
    plain = TrainSettings(method=method).plan()
    changed = validate(TrainSettings, {"method": method, name: value}).plan()
    assert changed == plain.model_copy(update={name: value})


@pytest.mark.parametrize(
    ("method", "values", "threshold"),
    [
        ("mascot", {}, 20.0),
        ("mascot", {"criterion": "gradient-diversity"}, 20.0),
        ("mascot", {"criterion": "lost-update"}, 0.3),
        ("mascot-n2", {"criterion": "lost-update"}, 0.45),
        ("mascot", {"criterion": "lost-update", "threshold": 0.3}, 0.3),
        ("fp16", {"criterion": "lost-update"}, None),
    ],
)
def test_a_criterion_has_a_threshold_of_its_own(method, values, threshold):
    plan = validate(TrainSettings, {"method": method} | values).plan()
    assert plan.threshold == threshold
    if "criterion" in values:
        assert plan.criterion == values["criterion"]


def recipe_of(settings):
    return Recipe(*(getattr(settings, name) for name in Recipe._fields))


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("given", [{}, dict.fromkeys(Recipe._fields)], ids=["missing", "null"])
def test_a_recipe_fills_what_is_missing_or_null(recipe, given):
    preset = RECIPES[recipe]
    if preset.schedule == "linear":
        preset = preset._replace(decay=None)
    assert recipe_of(validate(TrainSettings, {"recipe": recipe} | given)) == preset


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 3), ("learning_rate", 0.5), ("user_reg", 0.0), ("item_reg", 0.0)],
)
def test_a_set_value_wins_over_the_recipe(recipe, name, value):
    plain = validate(TrainSettings, {"recipe": recipe})
    changed = validate(TrainSettings, {"recipe": recipe, name: value})
    assert changed == plain.model_copy(update={name: value})


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_schedule_has_the_decay_that_it_needs(recipe):
    def decay(**values):
        return validate(TrainSettings, {"recipe": recipe, "decay": None} | values).decay

    assert decay(schedule="linear") is None
    assert decay(schedule="power") == RECIPES[recipe].decay
    assert decay(schedule="power", decay=0.0) == 0.0


def test_a_decay_that_nothing_uses_is_refused():
    values = params(**{"train.schedule": "linear", "train.decay": 0.1})
    with pytest.raises(SettingsError, match=r"^train\.decay: 0\.1: .*train\.schedule is linear"):
        validate(Params, values)


def test_patience_needs_validation():
    line = refusal("train.patience", 3)
    assert line.startswith("train.patience: 3: ")
    assert "train.validation is 0" in line


def test_an_unknown_recipe_is_all_that_is_complained_about():
    nulls = {f"train.{name}": None for name in Recipe._fields}
    with pytest.raises(SettingsError) as caught:
        validate(Params, params(**nulls, **{"train.recipe": "best"}))
    (line,) = str(caught.value).splitlines()
    assert line.startswith("train.recipe: 'best': must be 'paper' or 'tuned'")


def test_a_plan_stays_as_it_is():
    once = TrainSettings(threshold=2.0).plan()
    assert once.plan("gpu", few_ratings=True) == once


@pytest.mark.parametrize(
    ("method", "storage", "unit", "threshold"),
    [
        ("fp32", "float32", Unit.NONE, None),
        ("fp16", "float16", Unit.NONE, None),
        ("mascot-n1", "float16", Unit.NONE, None),
        ("mascot-n2", "float16", Unit.SIDE, 10.0),
        ("mascot", "float16", Unit.GROUP, 20.0),
    ],
)
def test_methods(method, storage, unit, threshold):
    plan = TrainSettings(method=method).plan()
    assert (plan.unit, plan.storage, plan.threshold) == (unit, storage, threshold)
    measured = (plan.period, plan.sample_ratio, plan.warmup)
    assert measured == ((None,) * 3 if unit is Unit.NONE else (2, 0.05, 5))


def test_every_method_is_allowed_and_fp16_is_mascot_n1():
    for method in METHODS:
        assert accepted("train.method", method) == method
    assert METHODS["fp16"] == METHODS["mascot-n1"]
    with pytest.raises(TypeError):
        METHODS["fp16"] = METHODS["fp32"]


def blocks(settings):
    return [value for _, value in settings if isinstance(value, Settings)]


def test_settings_cannot_be_changed():
    everything = Params(folds=[0])
    for block in [everything, *blocks(everything), everything.data.columns]:
        for name in type(block).model_fields:
            with pytest.raises(ValueError, match="frozen"):
                setattr(block, name, getattr(block, name))


def test_equal_blocks_have_equal_hashes():
    first, second = blocks(Params(folds=[0])), blocks(Params(folds=[1]))
    assert [hash(block) for block in first] == [hash(block) for block in second]
    assert hash(TrainSettings()) != hash(TrainSettings(seed=1))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"train.method": "fp32", "train.threshold": 3, "train.warmup": 0, "split.count": 2},
        {"train.recipe": "tuned", "train.validation": 0.1, "train.patience": 3},
        {"data.name": "file", "data.source": "/r.csv", "data.digest": "md5:" + 32 * "0"},
    ],
)
def test_settings_survive_json(changes):
    settings = validate(Params, params(**changes))
    assert validate(Params, settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "own",
    [
        {},
        {"recipe": "paper"},
        {"epochs": 7, "user_reg": 0.2},
        {"rounding": "nearest", "biases": True},
        {"criterion": "lost-update"},
        {"deterministic": False},
    ],
)
def test_settings_can_be_had_back_as_they_were_asked_for(method, own):
    asked = with_defaults({"method": method, **own})
    plan = validate(TrainSettings, asked).plan()
    again = without_presets(plan)
    for name, value in own.items():
        assert again[name] in (value, None)  # None where the method says the same
    assert validate(TrainSettings, with_defaults(again)).plan() == plan
    # What a preset had filled in is another's with another.
    other = validate(TrainSettings, with_defaults(again | {"method": "fp32", "rounding": None}))
    assert other.plan().storage == "float32"


def test_rounding_is_the_methods_but_for_fp16():
    assert with_defaults({})["rounding"] == "stochastic"
    assert with_defaults({"method": "mascot"})["rounding"] is None
    assert with_defaults({"rounding": "nearest"})["rounding"] == "nearest"


@pytest.mark.parametrize(
    ("name", "value", "plain"),
    [
        ("factors", np.int64(8), 8),
        ("epochs", np.arange(3, 4)[0], 3),
        ("seed", np.uint8(7), 7),
        ("learning_rate", np.float32(0.25), 0.25),
        ("user_reg", np.float64(0.5), 0.5),
        ("biases", np.True_, True),
        ("period", np.array(4), 4),
        ("method", np.array(["fp32"])[0], "fp32"),
    ],
)
def test_numpys_values_are_pythons(name, value, plain):
    for made in (TrainSettings(**{name: value}), validate(TrainSettings, {name: value})):
        found = getattr(made, name)
        assert (type(found), found) == (type(plain), plain)


@pytest.mark.parametrize("value", [np.float64(8.0), np.array([8]), np.True_, np.str_("8")])
def test_numpys_values_are_checked_like_pythons(value):
    with pytest.raises(SettingsError, match="factors: "):
        validate(TrainSettings, {"factors": value})


INTERACTIONS = {"objective": "interactions"}


def test_interactions_have_a_preset_of_their_own():
    settings = validate(TrainSettings, INTERACTIONS, "train")
    assert (settings.recipe, settings.left_to_ratings) == (
        "tuned",
        ("learning_rate", "user_reg", "item_reg"),
    )
    plan = settings.plan(few_ratings=True)
    assert not plan.biases
    assert not plan.normalised
    assert plan.schedule == "linear"
    assert {name: getattr(plan, name) for name in INTERACTION_DEFAULTS} == INTERACTION_DEFAULTS
    assert validate(Params, params(**{"data.name": "ml-1m", "train.objective": "interactions"}))


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"negatives": 4}, "train.negatives: 4.0: has no effect where train.objective is ratings"),
        ({"loss": "logistic"}, "train.loss: 'logistic': has no effect"),
        (INTERACTIONS | {"recipe": "paper"}, "train.recipe: 'paper': with train.objective inter"),
        (INTERACTIONS | {"biases": True}, "train.biases: True: with train.objective interactions"),
        (INTERACTIONS | {"method": "muppet"}, "train.method: 'muppet': with train.objective inter"),
    ],
)
def test_what_does_not_suit_the_objective_is_refused(values, line):
    with pytest.raises(SettingsError) as caught:
        validate(TrainSettings, values, "train")
    assert str(caught.value).startswith(line)


def test_a_gpu_takes_interactions_but_no_order_that_it_lacks():
    cuda, auto = (validate(RunSettings, {"backend": name}, "run") for name in ("cuda", "auto"))
    settings = validate(TrainSettings, INTERACTIONS, "train")
    assert [backend_for(settings, run) for run in (cuda, auto)] == ["cuda", "auto"]
    assert not settings.plan("gpu").deterministic
    fixed = validate(TrainSettings, INTERACTIONS | {"deterministic": True}, "train")
    with pytest.raises(SettingsError, match=r"cuda has no train\.deterministic: set"):
        backend_for(fixed, cuda)
    assert backend_for(fixed, auto) == "cpu"


def test_files_of_ratings_state_no_settings_of_interactions():
    ratings, interactions = (
        TrainSettings(**values).plan().model_dump() for values in ({}, INTERACTIONS)
    )
    assert not {"objective", *INTERACTION_DEFAULTS} & set(without_interactions(ratings))
    assert without_interactions(interactions) == interactions


@pytest.mark.parametrize("values", [{}, {"negatives": 3.0, "epochs": 5}])
def test_settings_of_interactions_that_were_left_open_are_so_again(values):
    settings = validate(TrainSettings, with_defaults(INTERACTIONS | values))
    plan = settings.plan()
    again = without_presets(plan, settings.left_to_ratings)
    assert {name for name in INTERACTION_DEFAULTS if again[name] is not None} == set(values) - {
        "epochs"
    }
    assert again["learning_rate"] is None
    assert validate(TrainSettings, with_defaults(again)).plan() == plan
