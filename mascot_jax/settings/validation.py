"""Shared parts of all settings: base class, kinds of values, readable errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
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
    """Return the error of parameters that do not fit together, whose ``line`` names them."""
    return PydanticCustomError(_TOGETHER, "{line}", {"line": line})


class Settings(BaseModel):
    """A frozen block of settings that refuses unknown parameters.

    NumPy's numbers, booleans and strings are taken for Python's.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    @model_validator(mode="before")
    @classmethod
    def _from_numpy(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {name: without_numpy(value) for name, value in values.items()}


def without_numpy(value: Any) -> Any:
    """Return the Python value of a NumPy scalar or an array ``()``; anything else as it is."""
    scalar = isinstance(value, np.generic) or (isinstance(value, np.ndarray) and not value.ndim)
    return value.item() if scalar else value


SettingsT = TypeVar("SettingsT", bound=Settings)


def validate(cls: type[SettingsT], values: Mapping[str, Any], prefix: str = "") -> SettingsT:
    """Build settings from plain values; raise readable errors.

    Parameters
    ----------
    cls
        The settings class.
    values
        Field name -> value; blocks are nested mappings.
    prefix
        Path before the name of each parameter in messages.

    Raises
    ------
    SettingsError
        One line per bad parameter: path, value found, rule.
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
    """Return the names of the parameters in the block at ``path`` within ``cls``."""
    block: Any = cls
    for name in path:
        inner = get_args(block)
        # The field is a block, a list of blocks, or a mapping of names to blocks.
        block = inner[-1] if inner else block.model_fields[str(name)].annotation
        if NoneType in get_args(block):  # a block that may be null
            block = get_args(block)[0]
    return list(block.model_fields)
