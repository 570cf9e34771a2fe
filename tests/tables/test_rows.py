from dataclasses import replace

import numpy as np
import pytest

from mascot_jax.engine.tables import encoded
from mascot_jax.tables import rows as rows_module
from mascot_jax.tables.storage import STORAGES, promotions

FACTORS = 40
STARTS = np.array([0, 3, 4, 9, 11, 12], dtype=np.uint32)
CODES = np.array([2, 0, 1, 2, 0], dtype=np.uint8)
DENSE = np.random.default_rng(0).normal(0, 0.3, (12, FACTORS)).astype(np.float32)
ROWS = encoded(DENSE, STARTS, CODES, promotions(STORAGES["int8-32"]))


def test_rows_are_stored_by_storage_in_their_order():
    ROWS.check("users")
    assert {name: stored.shape for name, stored in ROWS.stored.items()} == {
        "int8-32": (5, 56), "float16": (5, 40), "float32": (2, 40)
    }  # fmt: skip
    assert len(ROWS) == 12
    assert ROWS.nbytes == 5 * 56 + 5 * 80 + 2 * 160
    np.testing.assert_array_equal(ROWS.stored["float32"], DENSE[[3, 11]])
    np.testing.assert_array_equal(ROWS.stored["float16"], DENSE[4:9].astype(np.float16))
    assert np.flatnonzero(ROWS.in_storage(STORAGES["int8-32"])).tolist() == [0, 1, 2, 9, 10]


@pytest.mark.parametrize("at_a_time", [1, 2, 5, 100])
def test_any_rows_are_decoded_in_the_order_asked(at_a_time, monkeypatch):
    monkeypatch.setattr(rows_module, "AT_A_TIME", at_a_time)
    dense = ROWS.dense()
    np.testing.assert_array_equal(dense[[3, 11]], DENSE[[3, 11]])
    np.testing.assert_allclose(dense, DENSE, atol=np.abs(DENSE).max() / 253)
    for wanted in ([11, 0, 0, 7, 3], [5], []):
        found = ROWS.dense(np.array(wanted, dtype=np.uint32))
        np.testing.assert_array_equal(found, dense[wanted])
        assert (found.dtype, found.shape) == (np.float32, (len(wanted), FACTORS))


def stored(**changed):
    return replace(ROWS, stored=ROWS.stored | changed)


BAD = {
    "users: 4 groups with 6 starts": replace(ROWS, codes=CODES[1:]),
    "users: groups are in a storage that the file does not hold": [
        replace(ROWS, codes=np.where(CODES == 2, 250, CODES).astype(np.uint8)),
        replace(ROWS, stored={n: s for n, s in ROWS.stored.items() if n != "float16"}),
        stored(int9=ROWS.stored["float16"]),
    ],
    "cannot be in one table": stored(**{"int8-64": ROWS.stored["int8-32"]}),
    r"float32 factors are float32 \(2, 39\)": stored(float32=DENSE[:2, 1:]),
    r"float32 factors are float32 \(3, 40\)": stored(float32=DENSE[:3]),
    r"float32 factors are float64 \(2, 40\)": stored(float32=DENSE[:2].astype(np.float64)),
    r"float16 factors are uint16 \(5, 40\)": stored(float16=ROWS.stored["float16"].view(np.uint16)),
    r"int8-32 factors are int8 \(5, 48\)": stored(**{"int8-32": ROWS.stored["int8-32"][:, :48]}),
}


@pytest.mark.parametrize("message", BAD)
def test_rows_that_are_not_what_their_groups_say_are_refused(message):
    for rows in BAD[message] if isinstance(BAD[message], list) else [BAD[message]]:
        with pytest.raises(ValueError, match=message):
            rows.check("users")
