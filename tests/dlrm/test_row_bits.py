import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mascot_jax.dlrm.row_bits import RowBits
from mascot_jax.dlrm.tiers import Tiers

LARGE = (5, 1 << 20, 64, 65, 1000), (5, 3, 0, 65, 999)


@pytest.mark.parametrize(
    ("cardinalities", "wide", "batch"), [((1,), (0,), 3), (*LARGE, 1), (*LARGE, 50)]
)
def test_numbers_come_back(cardinalities, wide, batch):
    tiers = Tiers.first(cardinalities, wide)
    places = np.random.default_rng(batch).integers(0, cardinalities, (batch, len(wide)))
    places[0], places[-1] = 0, np.array(cardinalities) - 1
    numbers = tiers.numbers(places.astype(np.uint32))
    bits = RowBits.of(tiers)

    @jax.jit
    def both_ways(numbers):
        packed = bits.pack(numbers)
        return packed, bits.unpack(packed, batch)

    packed, found = both_ways(jnp.asarray(numbers))
    assert packed.nbytes == bits.nbytes(batch)
    np.testing.assert_array_equal(found, numbers)


def test_a_row_has_as_many_bits_as_its_field_needs():
    bits = RowBits((1, 2, 3, 256, 257), (0,) * 5)
    assert bits.widths == (1, 1, 2, 8, 9)
    assert bits.nbytes(3) == 8  # of 63 bits
