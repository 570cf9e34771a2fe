"""What every block of settings shares: its base, kinds of values, and errors for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from mascot_jax.errors import SettingsError

LARGEST_FLOAT32 = 3.4e38


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    if abs(value) > LARGEST_FLOAT32:
        raise ValueError("must fit a float32, in which training computes")
    return value


Finite = Annotated[float, AfterValidator(_finite)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]

_TOGETHER = "together"


def together(line: str) -> PydanticCustomError:
    """Make the error of parameters that do not fit each other: its line names them itself."""
    return PydanticCustomError(_TOGETHER, "{line}", {"line": line})


class Settings(BaseModel):
    """A frozen block of settings that refuses what it does not know."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )


SettingsT = TypeVar("SettingsT", bound=Settings)


def validate(cls: type[SettingsT], values: Mapping[str, Any], prefix: str = "") -> SettingsT:
    """Build settings from plain values, or raise an error a person can act on.

    Parameters
    ----------
    cls
        The settings class.
    values
        Field name -> value, nested mappings for blocks.
    prefix
        Path put before each parameter's name in messages.

    Raises
    ------
    SettingsError
        One line per bad parameter: its path, the value found, the rule.
    """
    try:
        return cls.model_validate(values)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(e, prefix, cls) for e in error.errors())) from None


def _explain(error: ErrorDetails, prefix: str, cls: type[Settings]) -> str:
    if error["type"] == _TOGETHER:
        return error["msg"]
    path = ".".join(str(part) for part in (prefix, *error["loc"]) if part != "")
    if error["type"] == "extra_forbidden":
        there = ", ".join(_fields_of_block(cls, error["loc"][:-1]))
        return f"{path}: {error['input']!r}: unknown parameter; there are {there}"
    if error["type"] == "missing":
        return f"{path}: missing"
    if error["type"] == "model_type":
        return f"{path}: {error['input']!r}: must be a block of parameters"
    rule = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{path}: {error['input']!r}: {rule[0].lower()}{rule[1:]}"


def _fields_of_block(cls: type[Settings], path: tuple[int | str, ...]) -> list[str]:
    """Return the names of the parameters in a block, found from the outermost one."""
    block: Any = cls
    for name in path:
        inner = get_args(block)
        # A field's block, or one of a list of blocks, or of blocks by name.
        block = inner[-1] if inner else block.model_fields[str(name)].annotation
        if NoneType in get_args(block):  # a block that may be null
            block = get_args(block)[0]
    return list(block.model_fields)
