"""Arrays of the workers take the memory that they are given."""

import jax
import numpy as np

from mascot_jax.base.arrays import aligned_zeros
from mascot_jax.distributed.workers import Workers

ROWS = 1000


def workers():
    return Workers((jax.local_devices(backend="cpu")[0],))


def pointer(array):
    return array.addressable_shards[0].data.unsafe_buffer_pointer()


def test_a_part_on_the_host_is_not_copied():
    given = aligned_zeros((ROWS,), np.dtype(np.uint32))
    held = workers().each(lambda _: given)
    assert held.shape == (1, ROWS)
    assert pointer(held) == given.ctypes.data


def test_what_a_device_has_is_not_copied():
    given = jax.device_put(np.arange(ROWS), workers().devices[0])
    assert pointer(workers().same(given)) == given.unsafe_buffer_pointer()


def test_what_others_may_alter_is_copied():
    given = aligned_zeros((ROWS,), np.dtype(np.uint32))
    held = workers().same(given)
    given[0] = 7
    assert np.asarray(held)[0] == 0
