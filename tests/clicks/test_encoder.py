"""Ids become rows by their counts in training; numbers are transformed by training rows alone."""

import numpy as np
import polars as pl
import pytest

from mascot_jax.clicks import encoder as module
from mascot_jax.clicks.encoder import encode_parts
from mascot_jax.clicks.raw import RawClicks, Schema
from mascot_jax.clicks.split import divide
from mascot_jax.errors import DataError


def raw(ids, numbers=None, labels=None, at_a_time=3):
    """Rows of one field and one number, in frames of a few."""
    n = len(ids)
    frame = pl.DataFrame(
        {
            "label": pl.Series(labels or [i % 2 for i in range(n)], dtype=pl.UInt8),
            "dense0": pl.Series(numbers or [0.0] * n, dtype=pl.Float32),
            "category0": pl.Series(ids, dtype=pl.String),
        }
    )
    return RawClicks(Schema(("age",), ("site",)), n, lambda: frame.iter_slices(at_a_time))


def encode(rows, part_of=None, **settings):
    parts = np.zeros(rows.rows, np.uint8) if part_of is None else np.array(part_of, np.uint8)
    return encode_parts(rows, parts, **{"min_count": 1, "transform": "none"} | settings)


IDS = ["b", "a", "b", "c", None, "b", "a", None]


def test_the_most_frequent_id_is_first_and_equals_go_by_name():
    parts = encode(raw(IDS))
    assert parts.encoder.ids[0].to_list() == ["b", "", "a", "c"]
    assert parts.encoder.counts[0].tolist() == [0, 3, 2, 2, 1]
    assert parts.data["train"].categories[:, 0].tolist() == [1, 3, 1, 4, 2, 1, 3, 2]


def test_rare_ids_share_row_0():
    parts = encode(raw(IDS), min_count=2)
    assert parts.data["train"].cardinalities == (4,)
    assert parts.encoder.counts[0].tolist() == [1, 3, 2, 2]
    assert parts.data["train"].categories[3, 0] == 0
    assert parts.report["fields"]["site"]["ids"] == 4
    assert parts.report["fields"]["site"]["shared"]["train"] == 1


def test_a_table_has_at_most_so_many_rows():
    parts = encode(raw(IDS), most_rows=2)
    assert parts.encoder.ids[0].to_list() == ["b"]
    assert parts.encoder.counts[0].tolist() == [5, 3]


def test_a_field_may_have_no_row_but_the_shared_one():
    parts = encode(raw(IDS), min_count=9)
    assert parts.data["train"].cardinalities == (1,)
    assert not parts.data["train"].categories.any()


def test_only_training_rows_make_the_maps():
    parts = encode(raw(["a", "b", "a", "z"]), [0, 0, 0, 2])
    assert parts.encoder.ids[0].to_list() == ["a", "b"]
    assert parts.data["test"].categories.tolist() == [[0]]
    assert parts.report["test"] == {"rows": 1, "clicks": 1}
    assert parts.report["fields"]["site"]["shared"] == {"train": 0, "validation": 0, "test": 1}
    assert len(parts.data["validation"]) == 0


@pytest.mark.parametrize("at_a_time", [1, 3, 100])
def test_frames_do_not_matter(monkeypatch, at_a_time):
    monkeypatch.setattr(module, "_MERGED_AT", 2)
    found = encode(raw(IDS, at_a_time=at_a_time), [0, 1, 0, 2, 0, 1, 0, 0]).data
    assert found["train"].categories[:, 0].tolist() == [2, 2, 1, 3, 1]
    assert found["validation"].labels.tolist() == [1, 1]


def test_other_rows_are_encoded_alike():
    encoder = encode(raw(IDS, [float(i) for i in range(8)]), transform="standard").encoder
    data = encoder.encode(raw(["zz", "b", None], [3.5, None, 0.0]).frames())
    assert data.categories[:, 0].tolist() == [0, 1, 2]
    std = np.std(np.arange(8))
    np.testing.assert_allclose(data.dense[:, 0], [0.0, 0.0, -3.5 / std], rtol=1e-6)
    assert encoder.shared(data) == {"site": 1}


def test_rows_without_labels_are_encoded():
    encoder = encode(raw(IDS)).encoder
    frames = [frame.drop("label") for frame in raw(["b"]).frames()]
    assert encoder.encode(frames).labels.tolist() == [0]
    with pytest.raises(DataError, match="no rows to encode"):
        encoder.encode([])


def test_log_takes_negative_and_missing_numbers_for_0():
    data = encode(raw(["a"] * 4, [-2.0, None, 1.0, 0.0]), transform="log").data["train"]
    np.testing.assert_allclose(data.dense[:, 0], [0, 0, np.log(2), 0], rtol=1e-6)


def test_standard_numbers_have_mean_0_and_deviation_1_where_present():
    rows = raw(["a"] * 5, [1.0, None, 5.0, 3.0, 100.0])
    data = encode(rows, [0, 0, 0, 0, 2], transform="standard").data
    values = data["train"].dense[[0, 2, 3], 0]
    assert abs(values.mean()) < 1e-6
    assert abs(values.std() - 1) < 1e-6
    assert data["train"].dense[1, 0] == 0


def test_a_constant_number_is_no_division_by_0():
    data = encode(raw(["a"] * 4, [7.0] * 4), transform="standard").data["train"]
    assert not data.dense.any()


def test_counts_of_ids_become_numbers():
    parts = encode(raw(["a", "a", "a", "b", "z"]), [0, 0, 0, 0, 2], count_fields=["site"])
    train, test = parts.data["train"].dense, parts.data["test"].dense
    logs = np.log1p([3, 3, 3, 1])
    np.testing.assert_allclose(train[:, 1], (logs - logs.mean()) / logs.std(), rtol=1e-6)
    np.testing.assert_allclose(test[:, 1], [(0 - logs.mean()) / logs.std()], rtol=1e-6)


def test_an_id_without_a_row_of_its_own_has_count_0():
    parts = encode(raw([*"aaabbc"]), min_count=2, count_fields=["site"])
    logs = np.log1p([3, 3, 3, 2, 2, 0])
    found = parts.data["train"].dense[:, 1]
    np.testing.assert_allclose(found, (logs - logs.mean()) / logs.std(), rtol=1e-6)


@pytest.mark.parametrize(
    ("rows", "part_of", "settings", "problem"),
    [
        (raw(IDS), None, {"count_fields": ["ad"]}, "'ad' is no field; there are site"),
        (raw(["a", "b"], labels=[1, 1]), None, {}, "each of the 2 training rows has the label 1"),
        (raw(["a", "b"]), [1, 2], {}, "there are no training rows"),
    ],
)
def test_what_cannot_be_encoded(rows, part_of, settings, problem):
    with pytest.raises(DataError, match=problem):
        encode(rows, part_of, **settings)


def test_the_last_rows_are_for_the_test():
    assert divide(10, 0.2, 0.1, "file", 0).tolist() == [0] * 7 + [1, 1, 2]


def test_random_parts_follow_the_seed():
    parts = divide(1000, 0.2, 0.1, "random", 3)
    assert np.bincount(parts).tolist() == [700, 200, 100]
    assert (parts == divide(1000, 0.2, 0.1, "random", 3)).all()
    assert (parts != divide(1000, 0.2, 0.1, "random", 4)).any()


def test_too_few_rows_to_divide():
    assert divide(3, 0.01, 0.01, "file", 0).tolist() == [0, 1, 2]
    with pytest.raises(DataError, match="2 rows are too few"):
        divide(2, 0.01, 0.01, "file", 0)
