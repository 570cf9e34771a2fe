"""Make command-line options from the fields, types and docstrings of a settings model.

A setting added to the model becomes an option of the command without further code.
"""

from __future__ import annotations

import argparse
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from mascot_jax.errors import SettingsError
from mascot_jax.settings import (
    PruningSettings,
    RegroupSettings,
    RunSettings,
    Settings,
    TrainSettings,
    validate,
)
from mascot_jax.settings.defaults import with_defaults
from mascot_jax.settings.methods import Recipe

NULL: Final = "null"
"""Word for None, as in params.yaml."""
HELD_OUT: Final = 0.1
"""The command's default of ``validation``, so that it can show an RMSE."""
_BLOCKS: Final[Mapping[str, type[Settings]]] = {"pruning": PruningSettings}
"""Blocks that may be null, by their field."""
KIND: Final = "method"
"""Field of a block that says what kind of it there is; null: none."""
OF_LISTS: Final[Mapping[str, Any]] = types.MappingProxyType(
    {
        "include_seen": False,
        "relevant": None,
        "sampled": None,
        "min_ratings": 1,
        "popularity": 0.0,
        "diversity": 0.0,
    }
)
"""Arguments that only matter where there are lists, and their defaults."""


def train_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in the command's defaults: those of ``MatrixFactorization``, except ``HELD_OUT``."""
    return with_defaults({"validation": HELD_OUT, **values})


def add_options(
    parser: argparse._ActionsContainer, defaults: Settings, without: Collection[str] = ()
) -> None:
    """Add one option per field of a settings model.

    Parameters
    ----------
    parser
        Parser or argument group to add the options to.
    defaults
        Values of omitted options, shown in the help. Every field is a number, a boolean or one of
        several words, text, or several numbers or texts. None is not shown, as the docstring
        explains it. A block of settings that may be null has an option for each of its fields, such
        as ``--pruning-rate``; other blocks (constants of comparators) are skipped.
    without
        Fields that get no option.
    """
    for name, field in type(defaults).model_fields.items():
        if name in _BLOCKS and name not in without:
            _add_block(parser, name, field.description or "")
        if name in without or _is_block(field.annotation):
            continue
        value = getattr(defaults, name)
        shown = [] if value is None or value == [] else [f"(default: {_word(value)}{_whose(name)})"]
        text = " ".join([(field.description or "").replace("``", ""), *shown])
        parser.add_argument(
            option(name),
            dest=name,
            default=argparse.SUPPRESS,
            help=" ".join(text.split()).replace("%", "%%"),
            **_arguments(field.annotation, null=name in Recipe._fields),
        )


def _add_block(parser: argparse._ActionsContainer, block: str, text: str) -> None:
    """Add one option per field of a block that may be null."""
    for name, field in _BLOCKS[block].model_fields.items():
        about = f"{text} {field.description}" if field.is_required() else field.description
        parser.add_argument(
            option(f"{block}.{name}"),
            dest=f"{block}.{name}",
            default=argparse.SUPPRESS,
            help=" ".join((about or "").replace("``", "").split()),
            **_arguments(field.annotation, null=name == KIND),
        )


def option(name: str) -> str:
    """Return the option of a field: ``--learning-rate`` for ``learning_rate``.

    A field of a block is ``block.field``; the block itself is what its ``KIND`` says.
    """
    if name in _BLOCKS:
        name = f"{name}.{KIND}"
    return f"--{name.replace('_', '-').replace('.', '-')}"


def given(args: argparse.Namespace, model: type[Settings]) -> dict[str, Any]:
    """Return the fields of a settings model that the command line sets, with their values."""
    values = {name: getattr(args, name) for name in model.model_fields if hasattr(args, name)}
    values = {name: None if value == NULL else value for name, value in values.items()}
    for block in _BLOCKS.keys() & model.model_fields.keys():
        names = {name: f"{block}.{name}" for name in _BLOCKS[block].model_fields}
        found = {name: getattr(args, dest) for name, dest in names.items() if hasattr(args, dest)}
        if found == {KIND: NULL}:
            values[block] = None
        elif found:
            values[block] = {n: None if value == NULL else value for n, value in found.items()}
    return values


def given_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of ``MatrixFactorization`` that the command line sets, checked.

    Raises
    ------
    SettingsError
        If one is invalid.
    """
    checked_settings(args, with_defaults)
    models = (TrainSettings, RegroupSettings, RunSettings)
    return {name: value for model in models for name, value in given(args, model).items()}


def checked_settings(
    args: argparse.Namespace, fill: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> tuple[TrainSettings, RegroupSettings, RunSettings]:
    """Return all settings of a training; ``fill`` adds the defaults to those of ``train``.

    Raises
    ------
    SettingsError
        If one is invalid.
    """
    return (
        validate(TrainSettings, fill(given(args, TrainSettings)), "train"),
        validate(RegroupSettings, given(args, RegroupSettings), "regroup"),
        validate(RunSettings, given(args, RunSettings), "run"),
    )


def check_of_lists(args: argparse.Namespace, *, lists: bool) -> None:
    """Check that options of lists are given only where ``lists`` are made.

    Raises
    ------
    SettingsError
        If there are none.
    """
    if lists:
        return
    for name, default in OF_LISTS.items():
        value = getattr(args, name, default)
        if value != default:
            shown = "" if value is True else f" {value}:"
            raise SettingsError(f"{option(name)}:{shown} is of lists: give --top-n, too")


@contextmanager
def arguments_as_options(**names: str) -> Iterator[None]:
    """Make errors of the library's arguments name options, such as ``--folds`` for ``folds``.

    Parameters
    ----------
    names
        Options that are called otherwise, by their arguments.
    """
    try:
        yield
    except SettingsError as error:
        argument, colon, rest = str(error).partition(":")
        if colon and argument.isidentifier():
            error.args = (f"{names.get(argument, option(argument))}{colon}{rest}",)
        raise


def _is_block(annotation: Any) -> bool:
    return any(
        isinstance(kind, type) and issubclass(kind, Settings) for kind in _alternatives(annotation)
    )


def _word(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _whose(name: str) -> str:
    """Return a note for a default that depends on the recipe or the storage."""
    if name == "rounding":
        return ", with fp16; others have their own"
    return ", the recipe's" if name in Recipe._fields else ""


def _arguments(annotation: Any, *, null: bool) -> dict[str, Any]:
    """Return the keyword arguments of ``add_argument`` for a field's type.

    ``null``: whether the field accepts null although its type does not say so.
    """
    kinds = list(_alternatives(annotation))
    word = [NULL] if null or type(None) in kinds else []
    if bool in kinds:
        return {"action": argparse.BooleanOptionalAction}
    words = [kind for kind in kinds if isinstance(kind, str)]
    if words:
        return {"choices": words + word}
    several = [kind for kind in kinds if get_origin(kind) in (tuple, list)]
    if several:
        (kind, *_) = _alternatives(get_args(several[0])[0])
        return {"type": _several(kind), "metavar": "N,N" if kind is int else "NAME,NAME"}
    if str in kinds:
        return {"metavar": "NAME"}
    number = int if int in kinds else float
    return {"type": _number_or_null(number) if word else number, "metavar": "N"}


def _alternatives(annotation: Any) -> Iterator[Any]:
    """Yield the types that a value may have, including None's, and the words of literals."""
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


def _several(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return what reads values between commas; ``null`` stays what it is."""

    def convert(text: str) -> Any:
        return text if text == NULL else [kind(part) for part in text.split(",") if part]

    convert.__name__ = f"{kind.__name__}s"  # argparse names it: "invalid ints value"
    return convert


def _number_or_null(number: Callable[[str], Any]) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        return text if text == NULL else number(text)

    convert.__name__ = number.__name__  # argparse names it: "invalid int value"
    return convert
