"""What the peers get; they themselves are an extra that tests do without."""

import os

import numpy as np

from benchmarks.harness.peers import CURVES, EPOCHS, installed
from benchmarks.harness.peers.libmf import as_nodes, native_output


def test_native_output_is_collected_and_then_goes_where_it_went(capfd):
    with native_output() as lines:
        os.write(1, b"   0  0.9  0.95\n   1  0.8")
    os.write(1, b"after")
    assert lines == ["   0  0.9  0.95", "   1  0.8"]
    assert capfd.readouterr().out == "after"


def test_ratings_lie_in_memory_as_libmf_has_them():
    users, items = np.array([7, 1], np.uint32), np.array([2, 3], np.uint32)
    made = as_nodes((users, items, np.array([4.5, 1], np.float32)))
    assert made.dtype.itemsize == 12
    assert made.tolist() == [(7, 2, 4.5), (1, 3, 1.0)]


def test_peers_that_are_not_there_are_left_out():
    assert installed(["no_such_package"]) == []
    assert set(CURVES) <= set(EPOCHS)
