"""``dvc repro studies/paper/dvc.yaml`` from end to end, with the smallest profile."""

import math

import pytest

from tests.pipeline.workspace import clone_checkout, stages_run
from tests.studies.test_dependencies import FIGURES, STAGES

pytestmark = pytest.mark.hardening

STUDY = "studies/paper/dvc.yaml"
RESULTS = "studies/paper/results/smoke"
DATA = "synthetic ml-1m"
REPETITIONS, EPOCHS = 2, 3


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A repository in which the study has run, and what DVC said."""
    root, cache = tmp_path_factory.mktemp("study"), tmp_path_factory.mktemp("cache")
    workspace = clone_checkout(root, tmp_path_factory.mktemp("home"))
    params = workspace.path("studies/paper/params.yaml")
    text = params.read_text(encoding="utf-8")
    assert "\nprofile: quick " in text
    params.write_text(text.replace("\nprofile: quick ", "\nprofile: smoke "), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        # Nearly all the time goes to compiling, and stages compile much the same.
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(cache))
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
        patch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")
        output = workspace.dvc("repro", STUDY)
    return workspace, output


def names(output):
    return [name.rsplit(":", 1)[1] for name in stages_run(output)]


def test_all_stages_run_once_and_then_none(study):
    workspace, output = study
    assert sorted(names(output)) == sorted(STAGES)
    assert names(output)[0] == "data"
    assert names(output)[-1] == "report"
    assert names(workspace.dvc("repro", STUDY)) == []


def test_a_profile_that_is_not_chosen_does_not_count(study):
    workspace, _ = study
    params = workspace.path("studies/paper/params.yaml")
    before = params.read_text(encoding="utf-8")
    assert "    repetitions: 3 " in before  # of quick
    params.write_text(before.replace("    repetitions: 3 ", "    repetitions: 4 "))
    assert "Data and pipelines are up to date." in workspace.dvc("status", STUDY)
    params.write_text(before.replace("groups: [1, 10]", "groups: [1, 20]"))
    changed = workspace.dvc("status", STUDY)
    assert {name for name in FIGURES if f"{STUDY}:{name}:" in changed} == {"fig10", "fig11"}
    params.write_text(before)


def rows_of(study, figure, part="rows"):
    return study[0].json(f"{RESULTS}/{figure}.json")[part]


def keys(rows, *fields):
    return [tuple(row[field] for field in fields) for row in rows]


def assert_quantity(value):
    """A mean with its interval, of as many values as there are repetitions."""
    assert set(value) == {"mean", "low", "high", "values"}
    assert len(value["values"]) == REPETITIONS
    assert all(math.isfinite(v) for v in value["values"])
    assert value["mean"] == pytest.approx(sum(value["values"]) / REPETITIONS)
    assert value["low"] <= value["mean"] <= value["high"]


QUANTITIES = {
    "table1": {"rows": ()},
    "fig4": {"rows": ("seconds", "relative_time")},
    "fig5": {"rows": ("gradient",)},
    "fig7": {"rows": ("seconds", "relative_time")},
    "fig8": {"rows": ("rmse",), "final": ("rmse", "loss", "relative_bytes")},
    "fig9": {"rows": ("seconds", "relative_time", "rmse", "loss")},
    "fig10": {"rows": ("seconds", "relative_time")},
    "fig11": {"rows": ("seconds", "rmse")},
    "table2": {"rows": ("seconds", "rmse"), "tests": ("difference",)},
    "beyond": {"rows": ("rmse", "loss", "relative_bytes", "relative_time")},
    "pruning": {
        "rows": ("rmse", "loss", "relative_error", "whole_rmse", "visited", "relative_time")
    },
}
IDENTITIES = {
    "table1": ("users", "items", "ratings", "sparsity"),
    "fig4": ("half_share",),
    "fig5": ("side", "quartile", "epoch"),
    "fig7": ("factors", "method"),
    "fig8": ("method", "epoch"),
    "fig9": ("variant",),
    "fig10": ("lookup", "groups"),
    "fig11": ("groups",),
    "table2": ("period", "sample_ratio"),
    "beyond": ("name", "settings"),
    "pruning": ("method", "name"),
}


@pytest.mark.parametrize("figure", sorted(QUANTITIES))
def test_a_result_file_has_its_shape(study, figure):
    content = study[0].json(f"{RESULTS}/{figure}.json")
    parts = QUANTITIES[figure]
    extra = {"distribution"} if figure == "table1" else set()
    assert set(content) == {"figure", "profile", "hardware", "settings", *parts, *extra}
    assert (content["figure"], content["profile"]) == (figure, "smoke")
    assert content["hardware"]["backend"] == "cpu"
    assert content["settings"]["repetitions"] == REPETITIONS
    assert content["settings"]["train"]["epochs"] == EPOCHS
    assert "source" not in str(content["settings"])
    for part, fields in parts.items():
        assert content[part]
        for row in content[part]:
            assert row["data"] == DATA
            for field in fields:
                assert_quantity(row[field])
    identities = {"data", *IDENTITIES[figure], *parts["rows"]}
    assert all(set(row) == identities for row in content["rows"])


def test_results_are_of_all_that_each_figure_shows(study):
    methods = ["fp32", "half", "fp16", "mpt", "muppet", "afp", "mascot"]
    assert keys(rows_of(study, "fig4"), "half_share") == [(0.0,), (0.4,), (1.0,)]
    assert keys(rows_of(study, "fig7"), "factors", "method") == [(16, name) for name in methods]
    assert {row["method"] for row in rows_of(study, "fig8")} >= set(methods)
    final = rows_of(study, "fig8", "final")
    assert keys(rows_of(study, "fig8"), "method", "epoch") == [
        (row["method"], epoch) for row in final for epoch in range(EPOCHS)
    ]
    variants = [("fp32",), ("mascot-n1",), ("mascot-n2",), ("mascot",)]
    assert keys(rows_of(study, "fig9"), "variant") == variants
    assert keys(rows_of(study, "fig10"), "groups", "lookup") == [
        (groups, lookup) for groups in (1, 10) for lookup in ("naive", "opt", "ours")
    ]
    assert keys(rows_of(study, "fig11"), "groups") == [(1,), (10,)]
    cells = [(period, ratio) for period in (1, 2) for ratio in (0.05, 1.0)]
    assert keys(rows_of(study, "table2"), "period", "sample_ratio") == cells
    assert len(rows_of(study, "beyond")) == 13
    assert keys(rows_of(study, "pruning"), "method", "name") == [
        ("fp32", "fp32"),
        ("early-exit", "early exit, rate 0.3"),
        ("project", "1 epochs 16, then 8"),
        ("uniform", "8 from the start"),
    ]


def test_table_1_counts(study):
    (row,) = rows_of(study, "table1")
    assert (row["users"], row["items"], row["ratings"]) == (150, 100, 4000)
    assert row["sparsity"] == pytest.approx(1 - 4000 / 15000)
    points = rows_of(study, "table1", "distribution")
    for side, count in (("users", 150), ("items", 100)):
        curve = [(p["share"], p["ratings"]) for p in points if p["side"] == side]
        assert (curve[0][0], curve[-1][0]) == (0, 1)
        assert 90 < len(curve) <= 101
        assert [ratings for _, ratings in curve] == sorted((r for _, r in curve), reverse=True)
        assert sum(r for _, r in curve) / len(curve) == pytest.approx(4000 / count, rel=0.2)


def test_relative_quantities_are_to_the_same_repetition(study):
    seconds = {row["method"]: row["seconds"]["values"] for row in rows_of(study, "fig7")}
    for row in rows_of(study, "fig7"):
        expected = [a / b for a, b in zip(seconds[row["method"]], seconds["fp32"], strict=True)]
        assert row["relative_time"]["values"] == pytest.approx(expected)
    final = {row["method"]: row for row in rows_of(study, "fig8", "final")}
    curve = {(row["method"], row["epoch"]): row["rmse"] for row in rows_of(study, "fig8")}
    for method, row in final.items():
        assert row["rmse"] == curve[method, EPOCHS - 1]
        reference = final["fp32"]["rmse"]["values"]
        expected = [a - b for a, b in zip(row["rmse"]["values"], reference, strict=True)]
        assert row["loss"]["values"] == pytest.approx(expected)


def test_bytes_are_those_of_the_storages(study):
    moved = {
        row["method"]: row["relative_bytes"]["mean"] for row in rows_of(study, "fig8", "final")
    }
    assert [moved[name] for name in ("fp32", "mpt", "muppet", "afp")] == [1, 1, 1, 1]
    assert (moved["half"], moved["fp16"]) == (0.5, 0.5)
    assert moved["int8"] < 0.5 <= moved["mascot"] <= 1


def test_pruned_trainings_visit_fewer_components(study):
    visited = {row["method"]: row["visited"]["mean"] for row in rows_of(study, "pruning")}
    assert (visited["fp32"], visited["uniform"]) == (1, 0.5)
    assert visited["project"] == pytest.approx((1 + 0.5 + 0.5) / EPOCHS)
    assert 1 / EPOCHS < visited["early-exit"] < 0.9


def test_events_tell_word_lengths(study):
    final = {row["method"]: row["events"] for row in rows_of(study, "fig8", "final")}
    assert final["fp32"] == final["fp16"] == final["mpt"] == []
    for method in ("muppet", "afp"):
        assert final[method][0] == {"epoch": 0, "word_length": 8}


def test_table_2_is_tested_on_time_and_error(study):
    tests = rows_of(study, "table2", "tests")
    assert [test["quantity"] for test in tests] == ["seconds", "rmse"]
    for test in tests:
        assert test["chosen"] == {"period": 2, "sample_ratio": 0.05}
        assert test["naive"] == {"period": 1, "sample_ratio": 1.0}
        assert test["p_value"] is None or 0 <= test["p_value"] <= 1


def test_the_report_is_written(study):
    page = study[0].path(f"{RESULTS}/report/report.html")
    assert "smoke" in page.read_text(encoding="utf-8")
