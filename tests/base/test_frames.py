"""Results as data frames."""

import datetime
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest

from mascot_jax.base.frames import to_frame
from mascot_jax.errors import MissingExtraError, SettingsError

DATES = np.array([datetime.date(2024, 1, day) for day in (1, 2)], dtype=object)


def test_objects_get_the_type_of_what_they_are():
    columns = {"id": np.array(["a", "b"], dtype=object), "date": DATES, "n": np.arange(2)}
    assert to_frame(columns, "polars").schema == {"id": pl.String, "date": pl.Date, "n": pl.Int64}
    assert isinstance(to_frame(columns, "pandas"), pd.DataFrame)


def test_what_is_no_library_is_refused(monkeypatch):
    with pytest.raises(SettingsError, match="library: 'excel': must be pandas, polars, pyarrow"):
        to_frame({"n": [1]}, "excel")
    monkeypatch.setitem(sys.modules, "modin", None)  # as if it were not installed
    with pytest.raises(MissingExtraError, match="needs it: run `pip install modin`"):
        to_frame({"n": [1]}, "modin")
