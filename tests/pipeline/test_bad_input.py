"""Bad input to the stages: exit status 2, one line, nothing half-done."""

import hashlib

import pytest

from mascot_jax.errors import SettingsError
from pipeline.common.stage import read_params
from tests.pipeline.workspace import CHECKOUT, Workspace, assert_refused, assert_stopped

RATINGS = "data/raw/ratings.parquet"


@pytest.fixture
def clean(fresh, tmp_path) -> Workspace:
    """A repository in which nothing has run, for one test to change."""
    return fresh.copy(tmp_path / "repository")


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("folds", [], "at least 1 item"),
        ("folds", [0, 0], "must not repeat"),
        ("folds", [0, 5], "must be below split.count, which is 5"),
        ("folds.0", [-1], "greater than or equal to 0"),
        ("folds.0", ["0"], "valid integer"),
        ("data.name", "ml-2m", "must be 'synthetic', "),
        ("data.title", "ml-1m", "unknown parameter"),
        ("data.source", 7, "valid string"),
        ("data.digest", "md5:123", "should match pattern"),
        ("data.columns", "user", "must be a block of parameters"),
        ("data.users", 1.5, "valid integer"),
        ("data.noise", float("nan"), "finite number"),
        ("data.noise", 11.0, "less than or equal to 10"),
        ("split.count", 0, "greater than or equal to 1"),
        ("split.count", "5", "valid integer"),
        ("split.cuont", 5, "unknown parameter"),
        ("regroup.user_groups", 0, "greater than or equal to 1"),
        ("regroup.item_groups", None, "valid integer"),
        ("regroup.groups", 3, "unknown parameter"),
        ("train.learning_rate", "abc", "valid number"),
        ("train.learning_rate", 0, "greater than 0"),
        ("train.learning_rate", float("inf"), "finite number"),
        ("train.epochs", True, "valid integer"),
        ("train.factors", 65_537, "less than or equal to 65536"),
        ("train.method", "fp8", "must be 'fp32', "),
        ("train.sample_ratio", 1.5, "less than or equal to 1"),
        ("train.seed", -1, "greater than or equal to 0"),
        ("train.learning_rat", 0.1, "unknown parameter"),
        ("run.backend", "gpu", "must be 'auto', "),
        ("run.thread", 2, "unknown parameter"),
        ("evaluate.clip", "yes", "valid boolean"),
        ("evaluate.clpi", True, "unknown parameter"),
        ("evaluate.top_n", 0, "greater than or equal to 1"),
        ("evaluate.sampled", 100, "is of lists: set evaluate.top_n, too"),
        ("evaluate.relevant", 4.5, "is of lists: set evaluate.top_n, too"),
        ("training", {"epochs": 3}, "unknown parameter"),
    ],
)
def test_a_bad_parameter_is_named_with_value_and_rule(tmp_path, name, value, rule):
    path = tmp_path / "params.yaml"
    path.write_bytes((CHECKOUT / "params.yaml").read_bytes())
    edited = Workspace(tmp_path, tmp_path)
    edited.set(**{name.removesuffix(".0").replace(".", "__"): value})
    with pytest.raises(SettingsError) as caught:
        read_params(path)
    (line,) = str(caught.value).splitlines()
    shown = value[0] if name == "folds.0" else value
    assert line.startswith(f"{name}: ")
    assert repr(shown) in line or str(shown) in line
    assert rule in line


def test_a_bad_parameter_stops_an_experiment_before_any_work(clean):
    done = clean.try_dvc("exp", "run", "-S", "train.learning_rate=abc")
    assert_stopped(done, "download", "train.learning_rate: 'abc': must be a valid number")
    assert not list(clean.path("data").rglob("*.*"))


@pytest.mark.parametrize(
    "stage", ["download", "split", "regroup", "train", "evaluate", "summarize"]
)
def test_every_stage_validates_every_block(workspace, stage):
    workspace.set(evaluate__clip="perhaps")
    fold = [0] if stage in ("regroup", "train", "evaluate") else []
    assert_refused(
        workspace.stage(stage, *fold), "evaluate.clip: 'perhaps': must be a valid boolean"
    )


def test_every_bad_parameter_has_its_line(clean):
    clean.set(train__epochs=0, split__seed="x")
    done = clean.stage("download")
    assert done.returncode == 2
    lines = sorted(done.stderr.splitlines())
    assert [line.split(":")[:2] for line in lines] == [
        ["error", " split.seed"],
        ["error", " train.epochs"],
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "params.yaml: not found"),
        (b"folds: [0\ntrain: {", "params.yaml: not valid YAML: line 2, column 6: "),
        (b"folds: [0]\nfolds: [1]\n", 'duplicate key "folds"'),
        (b"folds: [\x80]", "params.yaml: not valid YAML: "),
        (b"- 1\n", "params.yaml: must be a mapping"),
        (b"", "params.yaml: must be a mapping"),
        (b"split: {count: 5}", "folds: missing"),
    ],
)
def test_params_that_cannot_be_read(tmp_path, text, said):
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(SettingsError) as caught:
        read_params(path)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("7,8", "'7,8'"),
        ("7,8,good", "'good' is not a number"),
        ("7,8,nan", "not finite"),
    ],
)
def test_a_malformed_row_is_refused_with_its_line(clean, tmp_path, row, said):
    file = tmp_path / "own.csv"
    file.write_text(f"user,item,rating\n1,2,3\n{row}\n4,5,1\n", encoding="utf-8")
    clean.set(data__name="file", data__source=str(file))
    done = clean.stage("download")
    assert_refused(done, str(file), "line 3", said)


def test_refused_data_leave_no_ratings(workspace, tmp_path):
    file = tmp_path / "own.csv"
    file.write_text("user,item,rating\n1,2,3\n4,5,x\n", encoding="utf-8")
    workspace.set(data__name="file", data__source=str(file))
    assert workspace.path(RATINGS).exists()  # of the synthetic set
    assert_stopped(workspace.try_dvc("repro"), "download", str(file), "line 3")
    assert not workspace.path(RATINGS).exists()
    assert list(workspace.path("data/raw").iterdir()) == []


def test_a_wrong_digest_is_refused(clean, tmp_path):
    file = tmp_path / "own.csv"
    file.write_text("user,item,rating\n1,2,3\n", encoding="utf-8")
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    expected = "sha256:" + 64 * "0"
    clean.set(data__name="file", data__source=str(file), data__digest=expected)
    assert_refused(clean.stage("download"), f"expected {expected}", f"found sha256:{found}")
    assert not clean.path(RATINGS).exists()


def test_duplicates_and_cold_rows_are_counted(clean, tmp_path):
    # Every user rates items "a" and "b" often; pair (0, a) comes three times; user 99 and item
    # "rare" come once, so they are cold in the fold that tests them.
    rows = [(user, item, 3) for user in range(10) for item in "ab"]
    rows += [(0, "a", 4), (0, "a", 5), (99, "a", 2), (1, "rare", 1)]
    file = tmp_path / "own.csv"
    lines = "".join(f"{user},{item},{rating}\n" for user, item, rating in rows)
    file.write_text(f"user,item,rating\n{lines}", encoding="utf-8")
    clean.set(data__name="file", data__source=str(file))
    for stage in ("download", "split"):
        done = clean.stage(stage)
        assert (done.returncode, done.stderr) == (0, "")
    report = clean.json("data/split/report.json")
    assert report["ratings"] == len(rows)
    assert report["duplicates"] == {"pairs": 1, "surplus_ratings": 2}
    assert sum(fold["cold_items"] for fold in report["folds"]) >= 1
    assert sum(fold["cold_users"] for fold in report["folds"]) >= 1
    assert sum(fold["test"] for fold in report["folds"]) == len(rows)


def test_a_diverging_run_names_where_and_leaves_no_model(workspace):
    workspace.set(train__learning_rate=50)
    done = workspace.try_dvc("repro", "train@0")
    assert_stopped(done, "train@0", "diverged in epoch 0", "user group 0", "(float16)")
    assert not workspace.path("models/0.safetensors").exists()


def test_a_stale_native_build_is_refused(workspace):
    source = next(workspace.path("ffi/core").glob("*.h"))
    source.write_text(source.read_text(encoding="utf-8") + "\n// changed\n", encoding="utf-8")
    assert_refused(workspace.stage("train", 0), "built from other sources", "`pip install .`")


def test_a_missing_native_build_is_one_line(workspace):
    workspace.path("mascot_ffi.py").write_text("raise ImportError('not built')", encoding="utf-8")
    assert_refused(workspace.stage("train", 0), "mascot_ffi", "not built", "`pip install .`")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda content: content[:-40], "cut, damaged"),
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "does not match its checksum"),
    ],
)
def test_a_damaged_model_is_not_evaluated(workspace, damage, said):
    model = workspace.path("models/0.safetensors")
    content = damage(model.read_bytes())
    model.unlink()
    model.write_bytes(content)
    assert_refused(workspace.stage("evaluate", 0), "models/0.safetensors", said)


@pytest.mark.parametrize(
    ("stage", "fold", "said"),
    [
        ("regroup", 7, "fold 7 does not exist"),
        ("train", -1, "fold -1 does not exist"),
        ("evaluate", 4, "models/4.safetensors"),
    ],
)
def test_a_fold_that_is_not_there(reproduced, stage, fold, said):
    assert_refused(reproduced.stage(stage, fold), said)


def test_dvclive_needs_a_commit(workspace):
    workspace.path(".git").rename(workspace.path("../old-git"))
    workspace.git("init", "--quiet")
    assert_refused(workspace.stage("train", 0), "DVCLive", "`git commit`")
