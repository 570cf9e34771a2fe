"""Command-line options made from a settings model: its fields, their types and their docstrings.

A setting that is added to the model is an option of the command, with no word said twice.
"""

from __future__ import annotations

import argparse
import re
import types
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from mascot_jax.settings import Columns, RegroupSettings, Settings, TrainSettings
from mascot_jax.settings.presets import Recipe

NULL: Final = "null"
"""What stands for None, as in params.yaml."""
DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "method": "fp16",
        "recipe": "tuned",
        "rounding": "stochastic",
        "order": "runs",
        "validation": 0.1,
    }
)
"""Of the settings, where the command's defaults differ from params.yaml's.

They are ``MatrixFactorization``'s, but ratings are held out, so that there is a score to show."""


def add_options(parser: argparse._ActionsContainer, defaults: Settings) -> None:
    """Add one option per field of a settings model.

    Parameters
    ----------
    parser
        What to add them to, such as a group of a parser.
    defaults
        What holds where options are left out, shown in their help. Every field is a number, a
        boolean or one of several words; None shows nothing, as the docstring says what it means.
        Blocks of settings within are left out: constants of methods to compare with.
    """
    for name, field in type(defaults).model_fields.items():
        if _is_block(field.annotation):
            continue
        value = getattr(defaults, name)
        shown = [] if value is None else [f"(default: {_word(value)}{_whose(name)})"]
        text = " ".join([(field.description or "").replace("``", ""), *shown])
        parser.add_argument(
            option(name),
            dest=name,
            default=argparse.SUPPRESS,
            help=" ".join(text.split()).replace("%", "%%"),
            **_arguments(field.annotation),
        )


def option(name: str) -> str:
    """Return the option of a field: ``--learning-rate`` for ``learning_rate``."""
    return f"--{name.replace('_', '-')}"


def given(args: argparse.Namespace, model: type[Settings]) -> dict[str, Any]:
    """Return the fields of a settings model that the command line names, and their values."""
    values = {name: getattr(args, name) for name in model.model_fields if hasattr(args, name)}
    return {name: None if value == NULL else value for name, value in values.items()}


def in_options(message: str) -> str:
    """Name options where a message names parameters of params.yaml: --seed, not train.seed."""
    for block, model in (
        ("train", TrainSettings),
        ("regroup", RegroupSettings),
        ("data.columns", Columns),
    ):
        names = "|".join(model.model_fields)
        message = re.sub(
            rf"\b{re.escape(block)}\.({names})\b", lambda found: option(found[1]), message
        )
    return message


def _is_block(annotation: Any) -> bool:
    return any(
        isinstance(kind, type) and issubclass(kind, Settings) for kind in _alternatives(annotation)
    )


def _word(value: object) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _whose(name: str) -> str:
    """Say of a default that it is another one where another recipe is chosen."""
    return ", the recipe's" if name in Recipe._fields else ""


def _arguments(annotation: Any) -> dict[str, Any]:
    """Return what ``add_argument`` needs to know of a field's type."""
    kinds = list(_alternatives(annotation))
    null = [NULL] if type(None) in kinds else []
    if bool in kinds:
        return {"action": argparse.BooleanOptionalAction}
    words = [kind for kind in kinds if isinstance(kind, str)]
    if words:
        return {"choices": words + null}
    number = int if int in kinds else float
    return {"type": _number_or_null(number) if null else number, "metavar": "N"}


def _alternatives(annotation: Any) -> Iterator[Any]:
    """Yield the types that a value may have, None's among them, and the words of literals."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        yield from parts
    elif origin is Annotated:
        yield from _alternatives(parts[0])
    elif origin in (Union, types.UnionType):
        for part in parts:
            yield from _alternatives(part)
    else:
        yield annotation


def _number_or_null(number: Callable[[str], Any]) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        return text if text == NULL else number(text)

    convert.__name__ = number.__name__  # argparse names it: "invalid int value"
    return convert
