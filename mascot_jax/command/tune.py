"""``mascot tune``: search for the settings with the best figures over folds."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable
from typing import Any, Final

from mascot_jax.command.options import (
    NULL,
    arguments_as_options,
    check_of_lists,
    checked_settings,
    given_settings,
    option,
)
from mascot_jax.command.output import print_json, print_table, warnings_as_messages
from mascot_jax.command.progress import steps
from mascot_jax.command.tables import read_values
from mascot_jax.errors import RatingsWarning, SettingsError
from mascot_jax.mf.estimator import MatrixFactorization
from mascot_jax.model_selection import SPACE, Range, Tuning, tune
from mascot_jax.settings.defaults import with_defaults
from mascot_jax.settings.search import LOWER_IS_BETTER

_WORDS: Final = {NULL: None, "yes": True, "no": False, "true": True, "false": False}
_SHOWN: Final = 5
"""Number of trials that people are shown."""


def run(args: argparse.Namespace) -> int:
    """Search and print the best settings."""
    settings, *_ = checked_settings(args, with_defaults)
    errors = args.metric in (*LOWER_IS_BETTER, None) and not settings.of_interactions
    check_of_lists(args, lists=args.top_n is not None or not errors)
    space = dict(map(parse_space, args.vary)) if args.vary else SPACE
    fixed = given_settings(args)
    for name in fixed:
        if name in space:
            raise SettingsError(
                f"{option(name)}: {fixed[name]}: is searched: leave it out, or choose with --vary "
                "what is searched"
            )
    ratings = read_values(args, args.ratings, settings)
    total = args.trials if args.sampler != "grid" else None
    with (
        warnings_as_messages(RatingsWarning, once=True),  # trials and folds are alike
        steps(total, "trial", as_json=args.json) as done,
        arguments_as_options(space="--vary", seed="--fold-seed"),
    ):
        found = tune(
            MatrixFactorization(**fixed),
            ratings,
            space,
            trials=args.trials,
            metric=args.metric,
            folds=args.folds,
            seed=args.fold_seed,
            sampler=args.sampler,
            study=args.study,
            clip=args.clip,
            top_n=args.top_n,
            relevant=args.relevant,
            on_trial=lambda trial: done(_with_settings(trial, space)),
        )
    if args.json:
        print_json(
            {
                "event": "best",
                "metric": found.metric,
                "value": found.best_value,
                "trials": len(found.trials),
                "settings": found.best_settings,
            }
        )
    else:
        _print_for_people(found, args.ratings, fixed)
    return 0


def parse_space(text: str) -> tuple[str, list[Any] | Range]:
    """Return a setting and its values, given ``factors=32,64`` or ``learning-rate=0.01..0.1:log``.

    Raises
    ------
    SettingsError
        If the text is neither.
    """
    name, equals, values = text.partition("=")
    if not (name and equals and values):
        raise SettingsError(
            f"--vary: {text!r}: must be a setting and its values, such as factors=32,64 or "
            "learning-rate=0.003..0.05:log"
        )
    name = name.replace("-", "_")
    if ".." not in values:
        return name, [_value(word) for word in values.split(",")]
    bounds = values.removesuffix(":log")
    low, high = map(_value, bounds.split("..", 1))
    if not all(isinstance(bound, int | float) for bound in (low, high)):
        raise SettingsError(f"--vary: {text!r}: a range is of two numbers, such as 0.003..0.05")
    return name, Range(low, high, log=bounds != values)


def _value(text: str) -> Any:
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            pass
    return _WORDS.get(text, text)


def _with_settings(trial: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    rest = {key: value for key, value in trial.items() if key not in names}
    return {**rest, "settings": {name: trial[name] for name in names}}


def _print_for_people(found: Tuning, ratings: str, fixed: dict[str, Any]) -> None:
    done = [trial for trial in found.trials if trial["state"] == "complete"]
    ahead = sorted(done, key=lambda trial: abs(trial["value"] - found.best_value))[:_SHOWN]
    names = list(found.best_settings)
    print_table(
        ([trial["value"], *(_text(trial[name]) for name in names)] for trial in ahead),
        [found.metric, *names],
    )
    pruned = sum(trial["state"] == "pruned" for trial in found.trials)
    print(f"best of {len(found.trials)} trials, {pruned} of which were given up early; to train:")
    settings = {"validation": 0.0, **fixed, **found.best_settings}
    words = [_option(name, value) for name, value in settings.items()]
    print(f"  mascot train {shlex.quote(ratings)} -o model.safetensors {' '.join(words)}")


def _option(name: str, value: Any) -> str:
    """Return a setting as the command line has it."""
    if isinstance(value, bool):
        return option(name if value else f"no_{name}")
    return f"{option(name)} {NULL if value is None else value}"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return NULL if value is None else str(value)
