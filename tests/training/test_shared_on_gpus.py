"""A training that GPUs share: the program, made without one, and what it refuses."""

import re

import jax
import numpy as np
import pytest

from mascot_jax import MatrixFactorization
from mascot_jax.engine.devices import choose_device
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.padding import LEAST_ROWS
from mascot_jax.errors import BackendError, SettingsError
from mascot_jax.settings import RunSettings, TrainPlan, TrainSettings, validate
from mascot_jax.settings.defaults import without_presets
from mascot_jax.training.problem import prepare
from mascot_jax.training.shareable import refuse
from mascot_jax.training.shared import MOST_STEPS, most_in_flight
from tests.support.on_paper import first_epoch, lowered_epoch
from tests.support.shared import problem, ratings

METHODS = {
    "fp32": {"method": "fp32"},
    "fp16": {"method": "fp16", "rounding": "stochastic", "order": "runs"},
    "mascot-int8": {"method": "mascot-int8", "warmup": 0, "period": 1},
    "mpt": {"method": "mpt"},
}
TABLES = {"fp32": 1, "fp16": 1, "mascot-int8": 3, "mpt": 1}


def in_place(line):
    """Result -> operand that it shares memory with."""
    alias = r"output_tuple_indices = \[(\d*)\],\s*operand_index = (\d+)"
    return {int(result or 0): int(operand) for result, operand in re.findall(alias, line)}


@pytest.mark.parametrize(("method", "workers"), [("fp32", 2), ("mascot-int8", 2), ("fp16", 4)])
def test_an_epoch_of_several_gpus_stays_on_them_and_in_place(method, workers):
    text, tables = lowered_epoch(METHODS[method], workers), TABLES[method]
    assert f"mhlo.num_partitions = {workers} : i32" in text
    assert not re.search("callback|infeed|outfeed|stablehlo.send|stablehlo.recv", text)
    lines = {}
    for line in text.splitlines():
        if found := re.search(r"stablehlo\.custom_call @(mascot_\w+)", line):
            lines.setdefault(found.group(1), []).append(line)
    promotes = {"mascot_promote"} if method.startswith("mascot") else set()
    assert set(lines) == promotes | {
        *("mascot_hogwild_turns", "mascot_pack", "mascot_unpack", "mascot_check_finite")
    }
    ((visits,), packs, unpacks) = (
        lines[f"mascot_{name}"] for name in ("hogwild_turns", "pack", "unpack")
    )
    assert in_place(visits) == {2 + i: 15 + i for i in range(2 * tables)}
    assert re.search(r"most_in_flight = \d+ : i64", visits)
    assert len(packs) == len(unpacks) == workers - 1
    for pack, unpack in zip(packs, unpacks, strict=True):
        assert in_place(pack) == {1 + i: 6 + i for i in range(tables)}
        assert in_place(unpack) == {0: 5} | {1 + i: 7 + i for i in range(tables)}
        assert "tensor<0x" in pack  # no sums travel
    assert len(re.findall(r"stablehlo\.collective_permute", text)) == workers - 1
    sums = 2 if promotes else 0  # where nothing measures, XLA leaves them out
    assert len(re.findall(r"stablehlo\.all_gather", text)) == sums
    assert "stablehlo.while" in text


def test_the_tables_of_gpus_are_the_callers_own():
    text = lowered_epoch(METHODS["mascot-int8"], 2)
    main = text.partition("@main(")[2].partition("{\n")[0].partition("->")[0]
    arguments = re.findall(r"%arg\d+: tensor<2x\d+x\d+x(?:f32|f16|i8)> (\{[^%]*\})", main)
    assert len(arguments) == 6
    assert all(re.search("tf.aliasing_output|jax.buffer_donor", found) for found in arguments)


def test_what_gpus_hold_is_as_long_as_the_longest_share():
    devices = jax.local_devices(backend="cpu") * 3
    training, (state, laid, _, course, *_) = first_epoch(METHODS["fp32"], devices)
    # A third of the users; all items, in a small table.
    for table, rows in ((state.users, pytest.approx(100, rel=0.1)), (state.items, LEAST_ROWS)):
        assert table.stored["float32"].shape == (3, rows, 48)
        assert table.starts.shape == (3, table.codes.shape[0] + 1)
    assert 20_000 / 3 <= laid.users.shape[1] < 9000  # no room for more
    assert [starts.shape for starts in laid.strata[:2]] == [(3, 65), (3, 65)]
    assert course.numbers.shape == (64 * 64,)
    assert training.traffic.table == 200 * 48 * 4  # rows without sums


def test_more_gpus_have_fewer_ratings_of_a_row_in_flight_each():
    made = problem(300, 200, 20_000)
    share = max(made.users.visits.max(), made.items.visits.max()) / 20_000
    for rate in (0.01, 0.03):
        values = {"factors": 4, "rotations": 2, "learning_rate": rate}
        prepared = prepare(made, made.plan(TrainSettings(**values), "gpu"), Execution())
        for workers in (1, 2, 8):
            found = most_in_flight(prepared, workers)
            of_one = workers * share * rate
            assert found * of_one <= MOST_STEPS < (found + 1) * of_one


@pytest.mark.parametrize(
    ("train", "run", "words"),
    [
        ({}, {}, r"train.rotations: not set: .* at least 2 .*: set train.rotations to 2"),
        ({"rotations": 1}, {}, r"train.rotations: 1: .*: set train.rotations to 2$"),
        ({"deterministic": False}, {}, r"to 2, and leave train.deterministic null$"),
        (
            {"rotations": 2, "deterministic": True},
            {},
            "cuda has no train.deterministic: set run.backend to cpu or auto",
        ),
        ({"rotations": 2}, {"scratch": "disk"}, "a GPU trains on ratings in memory only"),
        ({"objective": "interactions"}, {}, "cannot share train.objective interactions"),
        ({"rotations": 2, "method": "muppet"}, {}, "cannot share train.method muppet"),
        (
            {"rotations": 2, "pruning": {"method": "project", "factors": 64}},
            {},
            "cannot share train.pruning project",
        ),
        ({"rotations": 2, "method": "int8", "factors": 300}, {}, "int8 rows of up to 256 factors"),
    ],
)
def test_what_gpus_cannot_share_is_refused(train, run, words):
    how = validate(RunSettings, {"backend": "cuda", **run})
    with pytest.raises(SettingsError, match=words):
        refuse(validate(TrainSettings, train), how)


def test_the_remedies_work():
    refuse(TrainSettings(rotations=2), RunSettings(backend="cuda"))
    refuse(TrainSettings(rotations=2, deterministic=True), RunSettings())
    refuse(TrainSettings(), RunSettings(backend="auto"))  # on CPUs


def test_the_library_refuses_before_it_looks_for_gpus():
    with pytest.raises(SettingsError, match=r"rotations: not set: GPUs .*: set rotations to 2"):
        MatrixFactorization(backend="cuda", distributed=True).fit(ratings(9, 9, 90))
    with pytest.raises(SettingsError, match="or leave rotations"):
        MatrixFactorization(rotations=2, deterministic=False).fit(ratings(9, 9, 90))


def test_a_model_of_gpus_is_read_and_trained_again_on_a_cpu():
    plan = TrainSettings(rotations=2).plan("gpu")
    again = validate(TrainPlan, plan.model_dump())
    assert (again.deterministic, again.rotations) == (False, 2)
    values = without_presets(again)
    assert values["deterministic"] is None
    assert validate(TrainSettings, values).plan("cpu").deterministic


@pytest.fixture
def two_gpus():
    try:
        choose_device("cuda")
    except BackendError as missing:
        pytest.skip(str(missing))
    if len(jax.local_devices(backend="cuda")) < 2:
        pytest.skip("there is one GPU: two are needed")


def planted(count, seed=0):
    """Ratings by four factors, with noise of 0.3; on a CPU, RMSE becomes 0.315."""
    truth, rng = np.random.default_rng(2), np.random.default_rng(seed)
    p, q = truth.normal(0, 0.7, (3000, 4)), truth.normal(0, 0.7, (1000, 4))
    users, items = rng.integers(0, 3000, count), rng.integers(0, 1000, count)
    return users, items, 3 + (p[users] * q[items]).sum(axis=1) + rng.normal(0, 0.3, count)


@pytest.mark.gpu
@pytest.mark.parametrize("method", ["fp32", "fp16", "mascot"])
@pytest.mark.usefixtures("two_gpus")
def test_two_gpus_are_as_accurate_as_one(method):
    train, test = planted(300_000), planted(20_000, seed=1)
    settings = {"factors": 16, "epochs": 15, "method": method, "backend": "cuda"}
    one = MatrixFactorization(**settings).fit(train)
    two = MatrixFactorization(**settings, rotations=2, distributed=True).fit(train)
    alone, together = (model.evaluate(test) for model in (one, two))
    assert together["rmse"] == pytest.approx(alone["rmse"], abs=0.01)
    assert together["rmse"] < 0.5 * together["rmse_of_mean"]
