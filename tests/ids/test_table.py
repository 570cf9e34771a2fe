import uuid
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given
from safetensors.numpy import load_file, save_file

from mascot_jax.errors import DataError, UnsavableIdsWarning
from mascot_jax.ids import column as columns
from mascot_jax.ids import table as table_module
from mascot_jax.ids import times
from mascot_jax.ids.column import Column
from mascot_jax.ids.file import ids_from_tensors, ids_to_tensors, warn_unsavable
from mascot_jax.ids.table import IdTable, index_ids
from mascot_jax.ids.values import as_column

INT64 = np.iinfo(np.int64)
UINT64 = np.iinfo(np.uint64)
CHARACTERS = st.characters(codec=None, exclude_categories=())  # lone surrogates and NUL, too


def objects(values):
    return np.fromiter(values, dtype=object, count=len(values))


def column(values, name="user"):
    array = values if isinstance(values, np.ndarray) else objects(values)
    return Column(name, len(array), array.__getitem__)


def through_a_file(table, path):
    save_file(ids_to_tensors(table), path)
    return ids_from_tensors(load_file(path), table.kind, table.values.dtype.str)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("ids") / "ids.safetensors"


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(columns, "ROWS_AT_A_TIME", 3)


def in_arrays(kinds):
    """Lists of values, and arrays of every type that holds them."""
    return st.one_of(st.lists(values, min_size=1, max_size=40).map(make) for values, make in kinds)


ARRAYS = in_arrays(
    [
        (st.integers(INT64.min, INT64.max), lambda v: np.array(v, dtype=np.int64)),
        (st.integers(0, UINT64.max), lambda v: np.array(v, dtype=np.uint64)),
        (st.integers(-128, 127), lambda v: np.array(v, dtype=np.int8)),
        (st.integers(INT64.min, UINT64.max), objects),
        (st.floats(allow_nan=False), lambda v: np.array(v)),
        (st.floats(allow_nan=False, width=16), lambda v: np.array(v, dtype=np.float16)),
        (st.booleans(), lambda v: np.array(v)),
        (st.text(CHARACTERS), objects),
        (st.text(st.characters(exclude_characters="\0")), lambda v: np.array(v, dtype=str)),
        (st.binary(), objects),
        (st.integers(-(10**9), 10**9), lambda v: np.array(v).astype("M8[s]")),
        (st.integers(-(10**9), 10**9), lambda v: np.array(v).astype("m8[ms]")),
        (st.uuids(), objects),
        (st.dates(), objects),
        (st.datetimes(), objects),
        (st.timedeltas(-times._MOST, times._MOST), objects),
        (st.decimals(places=0, allow_nan=False, allow_infinity=False), objects),
        (st.tuples(st.integers(), st.text()), objects),
        (st.one_of(st.integers(), st.text(), st.none().map(lambda _: (1, 2))), objects),
    ]
)


@given(ARRAYS)
@example(np.array([0, 2**61 - 1]))  # of one hash
def test_every_id_gets_its_index_and_back(array):
    table, indices = index_ids(column(array))
    assert indices.dtype == np.uint32
    assert len(table) == len(set(array.tolist())) or table.kind == "object"
    assert table.decode(indices).tolist() == array.tolist()
    np.testing.assert_array_equal(table.encode(array, "user"), indices)


@given(ARRAYS, st.randoms(use_true_random=False))
def test_indices_do_not_depend_on_the_order_of_rows(array, random):
    shuffled = list(range(len(array)))
    random.shuffle(shuffled)
    table, indices = index_ids(column(array))
    again, of_shuffled = index_ids(column(array[shuffled]))
    assert again.kind == table.kind
    np.testing.assert_array_equal(of_shuffled, indices[shuffled])


@given(ARRAYS)
def test_every_kind_but_objects_survives_a_file(path, array):
    table, _ = index_ids(column(array))
    if table.kind == "object":
        with pytest.raises(DataError, match="make them strings or integers"):
            ids_to_tensors(table)
        return
    loaded = through_a_file(table, path)
    assert (loaded.kind, loaded.values.dtype) == (table.kind, table.values.dtype)
    assert loaded.values.tolist() == table.values.tolist()


@given(ARRAYS, st.integers(1, 39))
def test_known_ids_are_joined(array, cut):
    first, second = array[:cut], array[cut:]
    if not len(second):
        return
    known, _ = index_ids(column(first))
    whole, _ = index_ids(column(array))
    if known.kind != whole.kind or known.kind != index_ids(column(second))[0].kind:
        return
    table, indices = index_ids(column(second), known)
    assert table.values.tolist() == whole.values.tolist()
    np.testing.assert_array_equal(indices, whole.encode(second, "user"))


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    "values",
    [
        [5, 5, -3, 10**15, 7, 5, 0],
        [5, 5, -3, 2, 7, 5, 0],
        ["b", "a", "c", "d", "a", "b", "é"],
        [1, 2, 3, "a", "b", 4, 5],  # the first part is of integers
    ],
)
def test_parts_of_a_column_make_one_table(values):
    table, indices = index_ids(column(values))
    assert table.decode(indices).tolist() == values
    if table.kind != "object":
        assert table.values.tolist() == sorted(set(values))


def test_wide_and_dense_integers_give_the_same(monkeypatch):
    values = np.random.default_rng(0).integers(-500, 500, 3000)
    dense, by_lookup = index_ids(column(values))
    monkeypatch.setattr(table_module, "LARGEST_LOOKUP", 0)
    monkeypatch.setattr(columns, "ROWS_AT_A_TIME", 500)
    sparse, by_search = index_ids(column(values[:900]), dense)
    assert "_lookup" in dense.__dict__
    assert "_lookup" not in sparse.__dict__
    np.testing.assert_array_equal(by_search, by_lookup[:900])


@pytest.mark.parametrize("queries", [[3, 4, 9, -1], [3, 4, 9, -1] * 10])
@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint64])
def test_unknown_ids_have_no_index(queries, dtype):
    table = IdTable("integer", np.array([1, 3, 9, 12]))
    queries = np.array(queries)
    expected = [[1, 3, 9, 12].index(q) if q in (3, 9) else -1 for q in queries]
    np.testing.assert_array_equal(table.encode(queries.astype(dtype), "item"), expected)


def test_extreme_integers_are_told_apart():
    highest = np.array([0, 2**63 - 1, 2**63, 2**64 - 1], dtype=np.uint64)
    table, _ = index_ids(column(highest))
    np.testing.assert_array_equal(table.encode(np.array([-1, 2**63 - 1]), "user"), [-1, 1])
    lowest, _ = index_ids(column(np.array([INT64.min, INT64.max])))
    np.testing.assert_array_equal(lowest.encode(highest, "user"), [-1, 1, -1, -1])


def test_dates_of_another_unit_are_the_same_dates():
    days = np.array(["2024-01-01", "2025-01-01"], dtype="M8[D]")
    table, _ = index_ids(column(days))
    queries = np.array(["2025-01-01T00:00", "2025-01-01T00:01"], dtype="M8[ns]")
    np.testing.assert_array_equal(table.encode(queries, "user"), [1, -1])


@pytest.mark.parametrize(
    "missing",
    [
        None,
        float("nan"),
        np.float64("nan"),
        Decimal("nan"),
        Decimal("snan"),
        np.datetime64("NaT", "s"),
        "pd.NA",
        "pd.NaT",
    ],
)
def test_a_missing_id_is_named_by_row_and_column(missing):
    if isinstance(missing, str):
        missing = getattr(pytest.importorskip("pandas"), missing.removeprefix("pd."))
    with pytest.raises(DataError, match=r"shop: the id in row 2 \(counted from 0\) is missing"):
        index_ids(column(["a", "b", missing], "shop"))


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("dtype", ["f8", "M8[s]", "m8[s]"])
def test_a_missing_number_or_date_is_named_by_row(dtype):
    values = np.arange(8).astype(dtype)
    values[5] = np.array("NaT" if dtype[0] in "mM" else "nan", dtype=dtype)
    with pytest.raises(DataError, match="user: the id in row 5"):
        index_ids(column(values))


def test_what_cannot_be_an_id_is_refused():
    with pytest.raises(DataError, match=r"the id in row 1 \(counted from 0\), \[2\], is not hash"):
        index_ids(column(["a", [2]]))
    with pytest.raises(DataError, match="ids cannot be of type complex128"):
        index_ids(column(np.array([1j])))


def test_ids_of_another_kind_are_an_error_not_unknown():
    table, _ = index_ids(column(np.arange(10)))
    with pytest.raises(DataError, match=r"of kind string, such as '3', but the known ones of kind"):
        table.encode(np.array(["3"]), "user")
    with pytest.raises(DataError, match="convert them"):
        index_ids(column(["3"]), table)
    assert table.encode(np.array([]), "user").shape == (0,)


def test_a_long_string_does_not_widen_the_others(path):
    table, _ = index_ids(column(["x" * (1 << 20), *map(str, range(1000))]))
    assert sum(tensor.nbytes for tensor in ids_to_tensors(table).values()) < (1 << 20) + 12_000
    assert through_a_file(table, path).values.tolist() == table.values.tolist()


def test_other_objects_are_ids_too():
    values = [uuid.UUID(int=5), date(2024, 1, 1), "a", 3, (1, "b"), frozenset({2})]
    table, indices = index_ids(column(values))
    found = table.decode(indices).tolist()
    assert [f"{value}" for value in found] == [
        *map(str, values[:1]),
        "2024-01-01T00:00:00.000000",
        *map(str, values[2:]),
    ]
    assert table.encode(objects([uuid.UUID(int=5), uuid.UUID(int=6)]), "user")[1] == -1
    for same in (np.array(["2024-01-01"], "M8[ns]"), objects([date(2024, 1, 1)])):
        assert table.encode(same, "user") == indices[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids.ends": np.array([5, 1], np.uint64)}, "damaged"),
        ({"ids.ends": np.array([1, 9], np.uint64)}, "damaged"),
        ({"ids.ends": np.array([1.0, 2.0])}, "damaged"),
        ({"ids.bytes": np.array([[97], [98]], np.uint8)}, "damaged"),
        ({"ids.bytes": np.array([98, 97], np.uint8)}, "not ascending"),
        ({"ids.bytes": np.array([255, 97], np.uint8)}, "decode"),
    ],
)
def test_damaged_strings_are_refused(change, message):
    tensors = ids_to_tensors(IdTable("string", objects(["a", "b"])))
    with pytest.raises(ValueError, match=message):
        ids_from_tensors(tensors | change, "string", "|O")


@pytest.mark.parametrize(
    ("values", "kind", "dtype"),
    [
        (np.array([1.0, 2.0]), "integer", "<i8"),
        (np.array([1, 2]), "object", "|O"),
        (np.array([2, 1]), "integer", "<i8"),
        (np.array([[1], [2]]), "integer", "<i8"),
        (np.array([1, 2]), "datetime", "<i8"),
        (np.array([1, 2]), "nonsense", "<i8"),
    ],
)
def test_damaged_numbers_are_refused(values, kind, dtype):
    with pytest.raises(ValueError, match="ids"):
        ids_from_tensors({"ids": values}, kind, dtype)


ZONE = timezone(timedelta(hours=5, minutes=30))


@pytest.mark.parametrize(
    ("values", "kind", "same"),
    [
        ([Decimal("5"), Decimal("7.00"), 5], "integer", np.array([5, 7, 5], np.uint8)),
        ([Decimal(2**63), Decimal(1)], "integer", objects([2**63, 1])),
        ([date(2024, 1, 2), datetime(2024, 1, 1, 5)], "datetime",
         np.array(["2024-01-02", "2024-01-01T05"], "M8[ns]")),
        ([pd.Timestamp("2024-01-01"), np.datetime64("2025-01-01")], "datetime",
         objects([date(2024, 1, 1), datetime(2025, 1, 1)])),
        ([datetime(2024, 1, 1, 5, 30, tzinfo=ZONE), pd.Timestamp("2024-01-01", tz="UTC")],
         "datetime", np.array(["2024-01-01"] * 2, "M8[s]")),
        ([timedelta(days=1), pd.Timedelta("2h"), np.timedelta64(3, "s")], "timedelta",
         np.array([86_400, 7200, 3], "m8[s]")),
        ([np.timedelta64(3, "s"), np.timedelta64(1, "D")], "timedelta",
         objects([timedelta(seconds=3), timedelta(days=1)])),
        ([np.bool_(True), False], "bool", np.array([True, False])),
        ([uuid.UUID(int=2), uuid.UUID(int=1)], "uuid",
         objects([uuid.UUID(int=2), uuid.UUID(int=1)])),
    ],
)  # fmt: skip
def test_forms_of_one_id_are_one_id_and_can_be_saved(values, kind, same, path):
    table, indices = index_ids(column(values))
    assert table.kind == kind
    again = through_a_file(table, path)
    np.testing.assert_array_equal(again.encode(same, "user"), indices)
    np.testing.assert_array_equal(again.encode(objects(values), "user"), indices)
    assert again.values.tolist() == table.values.tolist()


@pytest.mark.parametrize(
    "values",
    [
        [np.timedelta64(3, "s"), 5],
        [5, np.timedelta64(3, "s"), np.timedelta64(1, "D")],
        [5, np.datetime64("2024-01-01")],
        [Decimal("Infinity"), 5],
        [Decimal("-Infinity")],
        [10**400, Decimal(5)],
        [Decimal("1e999999"), 5],
        [True, 5],
        [np.bool_(True), 5, 5.5],
        [2.5, 5],
        [uuid.UUID(int=1), 5],
    ],
)
def test_ids_of_several_types_are_objects(values):
    table, indices = index_ids(column(values))
    assert table.kind == "object"
    np.testing.assert_array_equal(table.encode(objects(values), "user"), indices)
    assert len(set(table.decode(indices).tolist())) == len(set(values))


def test_series_of_decimals_uuids_and_dates_are_ids_too():
    days = [date(2024, 1, 2), date(2024, 1, 1)]
    names = [uuid.UUID(int=2), uuid.UUID(int=1)]
    for series, kind, same in (
        (pa.array([Decimal(2), Decimal(1)], pa.decimal128(38, 0)), "integer", [2, 1]),
        (pl.Series([Decimal(2), Decimal(1)]), "integer", [2, 1]),
        (pa.array([name.bytes for name in names], pa.uuid()), "uuid", names),
        (pd.Series(names), "uuid", names),
        (pl.Series(days), "datetime", days),
        (pd.Series(days), "datetime", days),
        (pd.Series(pd.to_datetime(days)), "datetime", days),
        (pa.array(days), "datetime", days),
    ):
        table, _ = index_ids(as_column(series, "user"))
        assert (table.kind, table.encode(objects(same), "user").tolist()) == (kind, [1, 0])


def test_dates_that_no_unit_holds_are_refused_and_are_not_taken_for_others():
    far, fine = datetime(1000, 1, 1), np.datetime64("2024-01-01", "ns")
    with pytest.raises(DataError, match=r"user: .*1000-01-01.* too far for the finest unit"):
        index_ids(column([far, fine]))
    table, _ = index_ids(column(np.array([fine])))
    wrapped = np.array([far], "M8[us]").astype("M8[ns]")  # what NumPy makes of the year 1000
    assert index_ids(column(wrapped))[0].encode(np.array([far], "M8[us]"), "user") == [-1]
    with pytest.raises(DataError, match="too far"):
        index_ids(column(np.array([far], "M8[us]")), table)
    with pytest.raises(DataError, match="too far"):
        index_ids(column([timedelta(days=106_751_992)]))
    with pytest.raises(DataError, match="only some of the dates have a time zone"):
        index_ids(column([datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=ZONE)]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            [1, "x", 1],
            r"user: ids of several types, such as 1 \(int\) and 'x' \(str\), can be used",
        ),
        ([2**70, 1, 2], "integers that no 64-bit type holds, such as 1180591620717411303424,"),
        ([-1, 2**63], "integers that no 64-bit type holds, such as 9223372036854775808,"),
        ([Decimal("1.5")], r"ids such as Decimal\('1.5'\) \(Decimal\) can be used, but not saved"),
        ([(1, 2), (1, 3)], r"ids such as \(1, 2\) \(tuple\)"),
    ],
)
def test_what_cannot_be_saved_is_said(values, message):
    table, _ = index_ids(column(values))
    with pytest.warns(UnsavableIdsWarning, match=message):
        warn_unsavable(table, "user")
    with pytest.raises(DataError, match="make them strings or integers before fitting"):
        ids_to_tensors(table)
