"""Command-line options made from a settings model: its fields, their types and their docstrings.

A setting that is added to the model is an option of the command, with no word said twice.
"""

from __future__ import annotations

import argparse
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from mascot_jax.settings import Settings
from mascot_jax.settings.defaults import with_defaults
from mascot_jax.settings.methods import Recipe

NULL: Final = "null"
"""What stands for None, as in params.yaml."""
HELD_OUT: Final = 0.1
"""The command's default of ``validation``, so that there is a score to show."""


def train_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in the command's defaults: ``MatrixFactorization``'s, but for ``HELD_OUT``."""
    return with_defaults({"validation": HELD_OUT, **values})


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
            **_arguments(field.annotation, null=name in Recipe._fields),
        )


def option(name: str) -> str:
    """Return the option of a field: ``--learning-rate`` for ``learning_rate``."""
    return f"--{name.replace('_', '-')}"


def given(args: argparse.Namespace, model: type[Settings]) -> dict[str, Any]:
    """Return the fields of a settings model that the command line names, and their values."""
    values = {name: getattr(args, name) for name in model.model_fields if hasattr(args, name)}
    return {name: None if value == NULL else value for name, value in values.items()}


def _is_block(annotation: Any) -> bool:
    return any(
        isinstance(kind, type) and issubclass(kind, Settings) for kind in _alternatives(annotation)
    )


def _word(value: object) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _whose(name: str) -> str:
    """Say of a default that it is another one where another recipe is chosen."""
    if name == "rounding":
        return ", with fp16; others have their own"
    return ", the recipe's" if name in Recipe._fields else ""


def _arguments(annotation: Any, *, null: bool) -> dict[str, Any]:
    """Return what ``add_argument`` needs to know of a field's type.

    ``null``: whether it can be null, although its type does not say so.
    """
    kinds = list(_alternatives(annotation))
    word = [NULL] if null or type(None) in kinds else []
    if bool in kinds:
        return {"action": argparse.BooleanOptionalAction}
    words = [kind for kind in kinds if isinstance(kind, str)]
    if words:
        return {"choices": words + word}
    number = int if int in kinds else float
    return {"type": _number_or_null(number) if word else number, "metavar": "N"}


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
