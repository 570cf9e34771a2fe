"""Rules for times; those for ids and ratings are tested with the formats."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from mascot_jax.data.formats.values import parse_times
from mascot_jax.errors import DataError

DAYS = [datetime(2024, 1, 31, tzinfo=UTC), datetime(2023, 12, 1, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["10", "9"], [10, 9]),
        (["10", "9.5"], [10.0, 9.5]),
        (["1e3", "-2"], [1000.0, -2.0]),
        (["20240131", "20231201"], [20240131, 20231201]),
        (["2024-01-31", "2023-12-01"], DAYS),
        (["2024/01/31", "2023/12/01"], DAYS),
        (["2024-01-31T00:00:00Z", "2023-12-01T00:00:00Z"], DAYS),
        (["2024-01-31 00:00", "2023-12-01 00:00"], DAYS),
    ],
)
@pytest.mark.parametrize("kind", [pl.String, pl.Categorical, pl.Enum])
def test_text_is_numbers_or_dates(texts, found, kind):
    kind = pl.Enum(texts) if kind is pl.Enum else kind
    assert parse_times(pl.Series(texts, dtype=kind), "r.csv").to_list() == found


def test_times_with_a_type_stay_as_they_are():
    for values in ([3, 1], [3.5, 1.0], [date(2024, 1, 31), date(2023, 12, 1)]):
        assert parse_times(pl.Series(values), "r.csv").to_list() == values


@pytest.mark.parametrize(
    ("times", "row"),
    [
        (["03/04/2024", "04/03/2024"], 1),  # US or European: nobody knows
        (["03.04.2024", "04.03.2024"], 1),
        (["03-04-2024", "04-03-2024"], 1),
        (["2024-01-31", "31-01-2024"], 2),
        (["5", "6", "soon", "7"], 3),
        (["2024-01-31", "2024-02-01", "soon"], 3),
        (["5", "2024-01-31"], 2),
        (["2024-01-31", "5"], 2),
        (["soon", "5"], 1),
        (["5", None], 2),
        ([None, "5"], 1),
        (["5", "nan"], 2),
        ([1.0, float("nan")], 2),
    ],
)
def test_the_first_row_that_is_no_time_is_named(times, row):
    with pytest.raises(
        DataError, match=rf"^r\.csv: the time of rating {row} is {times[row - 1]!r}"
    ):
        parse_times(pl.Series(times), "r.csv")
