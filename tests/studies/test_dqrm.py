"""The study of DQRM: its parameters, its trainings at the smallest size, its report."""

import json
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from mascot_jax.clicks.load import load_clicks
from mascot_jax.errors import SettingsError
from mascot_jax.settings import validate
from studies.dqrm import figure as figures
from studies.dqrm import intervals, report
from studies.dqrm.settings import Study, raw_path
from tests.pipeline.test_dependencies import DECIDE_NO_BYTE, closure
from tests.pipeline.workspace import CHECKOUT, clone_checkout, stages_run

GIVEN = YAML(typ="safe").load(CHECKOUT / "studies/dqrm/params.yaml")
STAGES = YAML(typ="safe").load(CHECKOUT / "studies/dqrm/dvc.yaml")["stages"]


@pytest.mark.parametrize("profile", GIVEN["profiles"])
def test_every_profile_is_valid(profile):
    study = validate(Study, GIVEN | {"profile": profile})
    assert set(study.figures) == set(report.FIGURES)


def test_stages_are_of_every_figure():
    assert STAGES["figure"]["matrix"]["figure"] == list(GIVEN["figures"])
    read = {Path(name).stem for name in STAGES["report"]["deps"] if name.endswith(".json")}
    assert read == set(report.FIGURES)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_all_that_it_imports(stage):
    deps = {Path(name) for name in STAGES[stage]["deps"]}
    missing = {
        path for path in closure(f"studies.dqrm.{stage}") if not deps & {path, *path.parents}
    }
    docstrings = {Path("studies/__init__.py"), Path("studies/dqrm/__init__.py")}
    assert missing <= DECIDE_NO_BYTE | docstrings
    code = [name for name in deps if "${" not in str(name)]
    assert all((CHECKOUT / name).exists() for name in code)


@pytest.mark.hardening
def test_all_stages_run_once_and_then_none(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    workspace = clone_checkout(root, tmp_path_factory.mktemp("home"))
    params = workspace.path("studies/dqrm/params.yaml")
    text = params.read_text(encoding="utf-8")
    assert "\nprofile: quick " in text
    params.write_text(text.replace("\nprofile: quick ", "\nprofile: smoke "), encoding="utf-8")
    names = stages_run(workspace.dvc("repro", "studies/dqrm/dvc.yaml"))
    assert len(names) == 2 + len(report.FIGURES)
    assert stages_run(workspace.dvc("repro", "studies/dqrm/dvc.yaml")) == []
    written = workspace.path("studies/dqrm/results/smoke/report.md").read_text(encoding="utf-8")
    assert "- Seeds: 2" in written


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"profile": "huge"}, "profile: 'huge': must be one of quick"),
        ({"figures": {"main": {"x": {"train": {"preset": "int3"}}}}}, "train.preset: 'int3'"),
        (
            {"figures": {"main": {"x": {"encode": {"min_cuont": 1}}}}},
            "encode.min_cuont: 1: unknown",
        ),
    ],
)
def test_a_wrong_training_is_found_before_any(change, problem):
    with pytest.raises(SettingsError, match=problem):
        validate(Study, GIVEN | change)


def test_variants_are_trained_with_every_seed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ("fp32", "int4, ids seen 10 times")
    chosen = {"main": {name: GIVEN["figures"]["main"][name] for name in names}}
    study = validate(Study, GIVEN | {"profile": "smoke", "figures": chosen})
    load_clicks(study.chosen.data, raw_path("smoke"))
    rows = figures.trainings(study, "main")
    assert [(row["variant"], row["seed"]) for row in rows] == [
        (name, seed) for seed in (0, 1) for name in names
    ]
    assert [len(row["epochs"]) for row in rows] == [2] * 4
    assert rows[0]["table_bytes_training"] > 5 * rows[1]["table_bytes_training"]
    assert rows[0]["best_auc"] > rows[0]["auc"]


def test_intervals_are_of_trainings_with_the_same_seeds(tmp_path, monkeypatch, capsys):
    params = tmp_path / "studies/dqrm/params.yaml"
    params.parent.mkdir(parents=True)
    shutil.copy(CHECKOUT / "studies/dqrm/params.yaml", params)
    monkeypatch.chdir(tmp_path)
    words = ["main", "--profile", "smoke", "--seeds", "2", "--variants", "fp32", "int4"]
    intervals.main([*words, "--json", "found.json"])
    found = json.loads(Path("found.json").read_text(encoding="utf-8"))["differences"]
    assert [*found] == ["int4"]
    assert found["int4"]["reference"] == "fp32"
    assert len(found["int4"]["auc"]["by_seed"]) == 2
    assert "int4" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        intervals.main([*words, "int3"])
    assert "--variants: 'int3': must be of main: fp32, constant" in capsys.readouterr().err


def test_an_interval_is_students_of_the_differences():
    rows = [row("float32", seed, 0.7 + seed / 10, 1) for seed in range(3)]
    above = (0.001, 0.002, 0.003)
    rows += [row("int8", seed, 0.7 + seed / 10 + x, 1) for seed, x in enumerate(above)]
    auc = intervals.differences(rows)["int8"]["auc"]
    assert auc["by_seed"] == pytest.approx(above)
    assert auc["mean"] == pytest.approx(0.002)
    assert auc["half_width"] == pytest.approx(4.303 * 0.001 / 3**0.5, rel=1e-3)
    assert auc["of_reference"] == pytest.approx(0.8)


def row(variant, seed, auc, megabytes, accuracy=0.8, sent=1.0):
    epoch = {
        "validation_accuracy": accuracy,
        "validation_auc": auc,
        "sent_bytes_per_step": sent * 1e3,
    }
    return {
        "variant": variant,
        "seed": seed,
        "auc": auc,
        "log_loss": 1 - auc,
        "accuracy": accuracy,
        "table_bytes_training": megabytes * 1e6,
        "table_bytes_deployed": megabytes * 1e6 / 2,
        "log_loss_of_mean": 0.5,
        "epochs": [epoch, epoch],
        "rows": 1000,
    }


def main_rows():
    rows = []
    for seed in (0, 1):
        up = seed / 100
        rows += [
            row("fp32", seed, 0.75 + up, 80),
            row("dqrm", seed, 0.748 + up, 80, 0.81),
            row("int4", seed, 0.7499 + up + up / 100, 16),
            row("int4, float from 100 visits", seed, 0.75 + up, 14),
            row("int4, ids seen 10 times", seed, 0.7495 + up, 2),
        ]
    return rows


def gradient_rows():
    sent = {"float32": 40.0, "int8": 10.0, report.PAPERS: 10.0, "int4": 5.5}
    return [row(name, 0, 0.75, 1, sent=bytes_) for name, bytes_ in sent.items()]


def test_differences_are_of_the_same_seed():
    table = report.main_table(main_rows())
    assert "| `fp32` | 80.00 | 1/1.0 | 40.00 | 0.7550 | 0.2450 | 0.8000 |" in table
    assert "| `dqrm` | 80.00 | 1/1.0 | 40.00 | 0.7530 (-0.0020 ± 0.0000)" in table
    assert "| `int4` | 16.00 | 1/5.0 | 8.00 | 0.7550 (-0.0000 ± 0.0001)" in table


def test_claims_say_what_was_kept():
    found = report.claims(main_rows(), gradient_rows())
    assert "| +0.15 percentage points (Kaggle) | +1.00 percentage points; AUC -0.0020 |" in found
    assert "yes: AUC -0.0000, log loss +0.0000" in found
    assert "no: 1/5.0; with floats from 100 visits 1/5.7: AUC +0.0000" in found
    assert "no: 1/40.0, AUC -0.0005" in found
    assert "gradients in INT8: 1/3.9 of the bytes, AUC within 0.0005 |  | yes: 1/4.00" in found
    assert "gradients in INT4: 1/7.5 of the bytes, AUC within 0.0005 |  | no: 1/7.27" in found


def test_bytes_of_gradients_are_of_float32s():
    table = report.gradients_table(gradient_rows())
    assert "| `float32` | 40.0 | 1/1.00 | 0.7500 | 0.2500 |" in table
    assert "| `int8` | 10.0 | 1/4.00 | 0.7500 (+0.0000) | 0.2500 (+0.0000) |" in table


def test_the_report_has_every_part():
    rows = main_rows()
    result = {"rows": rows, "data": "planted", "hardware": {"cores": 2}}
    results = dict.fromkeys(report.FIGURES, result) | {"gradients": {"rows": gradient_rows()}}
    text = report.report(results)
    assert "$" not in text
    assert "- Data: planted; 1,000 rows to train on\n- Seeds: 2" in text
    assert "| `dqrm` | 0.8100 (0.7530) | 0.8100 (0.7530) |" in text
