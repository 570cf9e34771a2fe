"""Options come from the settings models, field by field."""

import argparse

import pytest

from mascot_jax.command.options import add_options, given, option, train_settings
from mascot_jax.settings import (
    PruningSettings,
    RegroupSettings,
    RunSettings,
    TrainSettings,
    validate,
)
from mascot_jax.settings.naming import renamed

VALUES = {
    "schedule": "power",
    "decay": 0.25,
    "epochs": 7,
    "learning_rate": 0.001,
    "biases": True,
    "deterministic": False,
    "storage": "int8-32",
    "validation": 0.2,
    "patience": 2,
}


def parse(*argv):
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser, TrainSettings(**train_settings({})))
    return given(parser.parse_args(list(argv)), TrainSettings)


@pytest.mark.parametrize(
    "defaults", [TrainSettings(**train_settings({})), RegroupSettings(), RunSettings()]
)
def test_every_field_is_an_option_with_its_docstring(defaults):
    parser = argparse.ArgumentParser()
    add_options(parser, defaults)
    text = " ".join(parser.format_help().split())
    for name, field in type(defaults).model_fields.items():
        if name == "comparators":  # constants of methods to compare with: for studies
            assert option(name) not in text
            continue
        if name == "pruning":
            for inner, about in PruningSettings.model_fields.items():
                assert option(f"{name}.{inner}") in text
                assert " ".join(about.description.replace("``", "").split()) in text
        assert option(name) in text
        assert " ".join(field.description.replace("``", "").split()) in text


def test_only_what_is_named_is_given():
    assert parse() == {}
    assert parse("--factors", "64") == {"factors": 64}


def test_values_have_their_types():
    argv = []
    for name, value in VALUES.items():
        if isinstance(value, bool):
            argv.append(option(name) if value else option(f"no_{name}"))
        else:
            argv += [option(name), str(value)]
    values = parse(*argv)
    assert values == VALUES
    assert {name: type(value) for name, value in values.items()} == {
        name: type(value) for name, value in VALUES.items()
    }
    validate(TrainSettings, values)


@pytest.mark.parametrize("name", ["rounding", "storage", "decay", "patience"])
def test_null_is_none(name):
    assert parse(option(name), "null") == {name: None}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--factors", "many"], "invalid int value: 'many'"),
        (["--factors", "null"], "invalid int value: 'null'"),
        (["--epochs", "2.5"], "invalid int value: '2.5'"),
        (["--method", "fp8"], "invalid choice: 'fp8'"),
    ],
)
def test_what_cannot_be_a_value_is_refused(argv, message):
    with pytest.raises(argparse.ArgumentError, match=message):
        parse(*argv)


def test_a_block_that_may_be_null_has_an_option_for_each_field():
    argv = ["--pruning-method", "project", "--pruning-factors", "64", "--pruning-epoch", "null"]
    values = parse(*argv)
    assert values == {"pruning": {"method": "project", "factors": 64, "epoch": None}}
    assert validate(TrainSettings, values).pruning.factors == 64
    assert parse("--pruning-method", "early-exit", "--pruning-rate", "0.3") == {
        "pruning": {"method": "early-exit", "rate": 0.3}
    }


def test_a_block_may_be_null():
    assert parse("--pruning-method", "null") == {"pruning": None}


def test_messages_name_options():
    said = "train.patience: 3: needs train.validation; train.csv, data.columns.user, training.seed"
    assert renamed(said, option) == (
        "--patience: 3: needs --validation; train.csv, --user, training.seed"
    )
    assert (
        renamed("train.pruning.rate: 1, train.pruning", option)
        == "--pruning-rate: 1, --pruning-method"
    )
    assert renamed("train.pruning.rate: 1", str) == "pruning.rate: 1"
    assert renamed("set run.backend to cpu; run.py", option) == "set --backend to cpu; run.py"


def test_help_shows_defaults_and_whose_they_are():
    parser = argparse.ArgumentParser()
    add_options(parser, TrainSettings(**train_settings({})))
    text = " ".join(parser.format_help().split())
    for part in (
        "(T). (default: 32, the recipe's)",
        "(k). (default: 128)",
        "what these leave. Null: yes with the recipe tuned",
        "(default: stochastic, with fp16; others have their own)",
        "(default: fp16)",
    ):
        assert part in text
