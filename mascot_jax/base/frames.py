"""Results as data frames of the library that the caller asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import narwhals as nw
import numpy as np

from mascot_jax.errors import MissingExtraError, SettingsError


def to_frame(columns: Mapping[str, Any], library: str) -> Any:
    """Return columns of one length as a data frame.

    Parameters
    ----------
    columns
        Arrays or lists ``(n,)`` by name.
    library
        ``pandas``, ``polars``, ``pyarrow`` or another that narwhals can make frames of.

    Raises
    ------
    SettingsError
        There is no such library.
    MissingExtraError
        The library is not installed.
    """
    plain = {name: _plain(values) for name, values in columns.items()}
    backend: Any = library
    try:
        return nw.from_dict(plain, backend=backend).to_native()
    except ImportError as error:
        raise MissingExtraError(
            f"a data frame of {library} needs it: run `pip install {library}`"
        ) from error
    except (ValueError, TypeError, AttributeError) as error:
        if library in ("pandas", "polars", "pyarrow"):
            raise
        raise SettingsError(
            f"library: {library!r}: must be pandas, polars, pyarrow or another that narwhals makes "
            "frames of"
        ) from error


def _plain(values: Any) -> Any:
    """Return objects as a list, from which libraries infer what they are: text, dates."""
    is_objects = isinstance(values, np.ndarray) and values.dtype == object
    return values.tolist() if is_objects else values
