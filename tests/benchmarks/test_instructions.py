"""Counting instructions: what a listing says they are, and what really runs."""

import json

import mascot_ffi
import numpy as np
import pytest

from benchmarks.harness.instructions import RECORDED, Counter, Mix, classify, kinds, read_counts
from benchmarks.harness.variants import Maker
from benchmarks.harness.workload import make_workload
from mascot_jax.engine.kernels import Execution

LISTING = """
instructions.so:     file format elf64-x86-64

0000000000001000 <update>:
    1000:\tvmovups (%rax),%zmm1
    1006:\tret
    1007:\tvfmadd231ps %zmm1,%zmm2,%zmm3
"""


def mix(name, operands):
    return [field for field, there in zip(Mix._fields, kinds(name, operands), strict=True) if there]


@pytest.mark.parametrize(
    ("name", "operands", "expected"),
    [
        ("add", "$0x1,%rax", []),
        ("mov", "%rax,(%rdx)", []),  # of no vector
        ("vmovups", "0x40(%rax),%zmm1", ["loads"]),
        ("vmovups", "%zmm1,0x40(%rax)", ["stores"]),
        ("vfmadd231ps", "(%rax),%ymm1,%ymm2", ["multiply_adds", "loads"]),
        ("vfnmadd213ps", "%zmm0,%zmm1,%zmm2", ["multiply_adds"]),
        ("vcvtph2ps", "(%rax),%zmm1", ["conversions", "loads"]),
        ("vcvtps2ph", "$0x3,%zmm1,(%rax)", ["conversions", "stores"]),
        ("prefetchw", "0x40(%rax)", ["prefetches"]),
        ("vaddps", "%zmm0,%zmm1,%zmm2", []),
    ],
)
def test_an_instruction_is_what_its_name_and_operands_say(name, operands, expected):
    assert mix(name, operands) == ["instructions", *expected]


def test_every_line_of_a_listing_counts_once():
    marks = classify(LISTING)
    assert np.flatnonzero(marks[0]).tolist() == [0x1000, 0x1006, 0x1007]
    assert np.flatnonzero(marks[Mix._fields.index("multiply_adds")]).tolist() == [0x1007]
    assert np.flatnonzero(marks[Mix._fields.index("loads")]).tolist() == [0x1000]


def test_recorded_counts_are_read_by_set_method_and_factors(tmp_path):
    counts = read_counts()
    (row, *_) = json.loads(RECORDED.read_text())["rows"]
    key = row["instruction_set"], row["method"], row["factors"]
    assert counts[key] == row["instructions"]
    assert read_counts(tmp_path / "none.json") == {}


@pytest.mark.hardening  # it compiles ffi/core
def test_an_update_takes_five_multiply_adds_for_each_pair_of_vectors(tmp_path):
    """Two rows are multiplied once, and each is updated by two multiply-adds."""
    counter = Counter(tmp_path)
    prepared = Maker(make_workload("ml-1m", most=1000), 128, Execution(1)).prepared("fp32")
    for name, lanes in (("avx512", 16), ("avx2", 8)):
        if name not in mascot_ffi.build_info()["instruction_sets"]:
            continue
        found = counter.mix(name, prepared.plan, prepared.ratings, 16, 32)
        assert found.multiply_adds == 5 * 128 / lanes
        assert found.instructions > found.multiply_adds + found.stores
        streamed = counter.mix(name, prepared.plan, prepared.ratings, 16, 32, streamed=True)
        assert streamed.multiply_adds == 0
        assert streamed.stores >= 2 * 128 / lanes
