"""What the kernels' callers become for CUDA: lowering needs no GPU."""

import re
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mascot_jax.dlrm.network import initial_layers
from mascot_jax.dlrm.steps import Batches, StepPlan, TrainingState, run_steps
from mascot_jax.engine import early_exit, kernels, projection_in_jax
from mascot_jax.engine.embedding import EmbeddingTables
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.prediction import ColdRule
from mascot_jax.engine.ratings import make_ratings
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.settings.clicks import ClickSettings
from mascot_jax.training import epoch as training
from mascot_jax.training import scoring
from mascot_jax.training.initial import initial_state
from mascot_jax.training.scoring import HeldOut
from tests.support.interactions import laid_out_for_a_gpu
from tests.support.worlds import make_world

EXECUTION = Execution(3, lookup="search", writes="store")
ATTRIBUTE = (
    'execution = {instruction_set = "auto", lookup = "search", threads = 3 : i32, writes = "store"}'
)
STARTS = np.array([0, 4, 9], dtype=np.uint32)


def lowered(function, *arguments, **options):
    """The program for CUDA, as text."""
    traced = jax.jit(function, static_argnames="execution").trace(*arguments, **options)
    return traced.lower(lowering_platforms=("cuda",)).as_text()


def epoch(method, **values):
    """``train_epoch`` for CUDA, as text."""
    plan = validate(TrainSettings, {"method": method, "factors": 40, **values}).plan("gpu")
    ids = np.arange(9)
    state, ratings = initial_state(STARTS, STARTS, plan), make_ratings(ids, ids, ids, 9, 9)
    if plan.of_interactions:
        ratings = laid_out_for_a_gpu(ids, ids, plan, STARTS, STARTS)
    with patch.object(training, "_train_epoch", training._train_epoch.trace):
        traced = training.train_epoch(state, ratings, plan, EXECUTION)
    return traced.lower(lowering_platforms=("cuda",)).as_text()


def calls(text):
    """Target and line of every custom call."""
    return [
        (match.group(1), line)
        for line in text.splitlines()
        if (match := re.search(r"stablehlo\.custom_call @(\w+)", line))
    ]


def in_place(line):
    """Result -> operand that it shares memory with."""
    alias = r"output_tuple_indices = \[(\d*)\],\s*operand_index = (\d+)"
    return {int(result or 0): int(operand) for result, operand in re.findall(alias, line)}


def assert_on_device(text):
    assert {target for target, _ in calls(text)} <= set(TARGETS)
    assert not re.search("callback|infeed|outfeed|send|recv", text)


TARGETS = [
    *("mascot_epoch", "mascot_interactions_epoch"),
    *("mascot_promote", "mascot_predict", "mascot_check_finite"),
]


@pytest.mark.parametrize(
    ("method", "tables", "promotes"),
    [
        ("fp32", 1, 0),
        ("fp16", 1, 0),
        ("int8", 1, 0),
        ("mascot", 2, 2),
        ("mascot-n2", 2, 2),
        ("mascot-int8", 3, 2),
        ("half", 1, 0),
        ("mpt", 1, 0),
        ("muppet", 1, 0),
        ("afp", 1, 0),
    ],
)
def test_an_epoch_stays_on_the_device_and_in_place(method, tables, promotes):
    text = epoch(method)
    assert_on_device(text)
    found = calls(text)
    assert [target for target, _ in found].count("mascot_promote") == promotes
    assert [target for target, _ in found].count("mascot_check_finite") == 2
    assert all(ATTRIBUTE in line for _, line in found)
    for target, line in found:
        if target == "mascot_epoch":  # 9 operands and 2 results come before the tables
            assert in_place(line) == {2 + i: 9 + i for i in range(2 * tables)}
        elif target == "mascot_promote":
            assert in_place(line) == {i: 3 + i for i in range(tables)}
        else:
            assert in_place(line) == {}


@pytest.mark.parametrize(("method", "tables"), [("fp16", 1), ("mascot-int8", 3)])
def test_an_epoch_over_interactions_stays_there_too(method, tables):
    text = epoch(method, objective="interactions")
    assert_on_device(text)
    ((_, line),) = [call for call in calls(text) if call[0] == "mascot_interactions_epoch"]
    assert ATTRIBUTE in line
    assert "conflict_free = false" in line
    assert in_place(line) == {2 + i: 15 + i for i in range(2 * tables)}


@pytest.mark.parametrize(
    ("method", "tables"),
    [("fp32", 2), ("fp16", 2), ("int8", 2), ("mascot", 4), ("mascot-n2", 4), ("mascot-int8", 6)],
)
def test_an_epochs_tables_are_the_callers_own(method, tables):
    main = epoch(method).partition("@main(")[2].partition("{\n")[0].partition("->")[0]
    arguments = re.findall(r"%arg\d+: tensor<1024x\d+x(?:f16|f32|i8)> (\{[^}]*\})", main)
    assert len(arguments) == tables
    assert all("tf.aliasing_output" in argument for argument in arguments)


@pytest.mark.parametrize("arithmetic", ["float32", "float16", "mixed", "fixed"])
def test_an_arithmetic_is_the_epochs_attribute(arithmetic):
    world = make_world(40)
    traced = jax.jit(kernels.run_epoch, static_argnames=("arithmetic", "execution")).trace(
        world.ratings, world.users, world.items, jnp.zeros(5), jnp.zeros(2, jnp.uint32),
        arithmetic=arithmetic, execution=EXECUTION,
    )  # fmt: skip
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert_on_device(text)
    ((target, line),) = calls(text)
    assert target == "mascot_epoch"
    assert f'arithmetic = "{arithmetic}"' in line
    assert "tensor<5xf32>" in line
    assert in_place(line) == {2 + i: 9 + i for i in range(6)}


def test_thresholds_are_rates_on_the_device():
    text = epoch("mascot", pruning={"method": "early-exit", "rate": 0.3})
    assert_on_device(text)
    (line,) = (line for target, line in calls(text) if target == "mascot_epoch")
    assert "tensor<7xf32>" in line
    assert in_place(line) == {2 + i: 9 + i for i in range(4)}


def test_predictions_that_end_early_are_one_call():
    world = make_world(40)
    rows = world.ratings.users, world.ratings.items
    text = lowered(
        early_exit.predict_to_stop,
        *rows,
        world.users,
        world.items,
        jnp.zeros(2),
        execution=EXECUTION,
    )
    ((target, line),) = calls(text)
    assert target == "mascot_predict_to_stop"
    assert ATTRIBUTE in line


def test_a_projection_needs_no_kernel_of_ours_and_no_host():
    world = make_world(40)
    stored = projection_in_jax.room_for(world.users, 16)
    basis, key = jnp.zeros((40, 16)), jax.random.key(0)
    for traced in (
        projection_in_jax._moments.trace(world.users, world.ratings.users),
        projection_in_jax._project.trace(stored, world.users, basis, key),
    ):
        text = traced.lower(lowering_platforms=("cuda",)).as_text()
        assert not re.search("mascot_|callback|infeed|outfeed|send|recv|f64", text)


@pytest.mark.parametrize("name", ["promote", "check_finite", "predict"])
def test_a_kernel_is_one_call_with_its_attributes(name):
    world = make_world(40)
    arguments = {
        "promote": (world.users, jnp.zeros(5, jnp.uint8)),
        "check_finite": (world.users,),
        "predict": (world.ratings.users, world.ratings.items, world.users, world.items),
    }[name]
    text = lowered(getattr(kernels, name), *arguments, execution=EXECUTION)
    assert_on_device(text)
    ((target, line),) = calls(text)
    assert target == f"mascot_{name}"
    assert ATTRIBUTE in line
    assert "factors = 40 : i64" in line
    assert in_place(line) == ({0: 3, 1: 4, 2: 5} if name == "promote" else {})


def test_scoring_leaves_two_numbers():
    world = make_world(40)
    held_out = HeldOut(world.user_rows, world.item_rows, world.values, ColdRule(3.0, 23, 17))
    text = lowered(
        scoring._error_sums,
        held_out._chunks[0],
        world.users,
        world.items,
        np.zeros(2, np.float32),
        execution=EXECUTION,
    )
    assert_on_device(text)
    assert [target for target, _ in calls(text)] == ["mascot_predict"]
    results = text.partition("@main(")[2].partition("->")[2].partition("{\n")[0]
    assert re.findall(r"tensor<(\w+)>", results) == ["f32", "f32"]


def test_one_program_has_the_same_calls_for_both_back_ends():
    world = make_world(40)
    traced = jax.jit(kernels.check_finite, static_argnames="execution").trace(
        world.users, execution=EXECUTION
    )
    cpu, cuda = (traced.lower(lowering_platforms=(p,)).as_text() for p in ("cpu", "cuda"))
    assert calls(cpu) == calls(cuda) != []


def click_step(platform):
    """A click model's steps in a program for a platform, as text."""
    tables = EmbeddingTables(
        jnp.zeros((20, 16), jnp.float16), jnp.zeros((60, 10), jnp.uint8), "int4-row", "float16"
    )
    layers = initial_layers(ClickSettings(bottom=(8,), top=(8,)), 2, 3)
    batches = Batches(
        jnp.zeros((4, 5, 3), jnp.uint32),
        jnp.zeros((4, 5, 2)),
        jnp.zeros((4, 5), jnp.uint8),
        jnp.zeros((4, 2)),
        jnp.zeros((4, 2), jnp.uint32),
    )
    traced = run_steps.trace(
        TrainingState(tables, layers, ()),
        jnp.zeros(3),
        batches,
        plan=StepPlan("sgd", 7, 4, EXECUTION),
    )
    return traced.lower(lowering_platforms=(platform,))


def test_a_click_models_step_stays_on_the_device_and_in_place():
    text = click_step("cuda").as_text()
    assert not re.search("callback|infeed|outfeed|send|recv", text)
    found = dict(calls(text))
    lookup, update = "mascot_embedding_lookup", "mascot_embedding_update_sorted"
    assert [*found] == [lookup, update]
    assert all(ATTRIBUTE in line for line in found.values())
    assert in_place(found[lookup]) == {}
    assert in_place(found[update]) == {0: 5, 1: 6}
    main = text.partition("@main(")[2].partition("{\n")[0].partition("->")[0]
    tables = re.findall(r"tensor<(?:20x16xf16|60x10xui8)> (\{[^}]*\})", main)
    assert len(tables) == 2
    assert all("tf.aliasing_output" in table for table in tables)


def test_a_cpu_sorts_no_rows_and_chooses_nothing_at_run_time():
    assert "stablehlo.sort" in click_step("cuda").as_text()
    program = click_step("cpu").compile().as_text()
    assert " sort(" not in program
    assert "conditional" not in program
    assert re.findall(r'custom_call_target="(mascot_\w+)"', program) == [
        "mascot_embedding_lookup",
        "mascot_embedding_update",
    ]
    assert re.findall(r"= (?:f16.20,16|u8.60,10)\S* copy\(", program) == []
