"""``dvc exp run``: settings arrive, sweeps work, and an experiment runs its own code."""

import json

import pytest

from mascot_jax.mf.model_file import load_model
from tests.pipeline.workspace import stages_run


def finished_experiments(workspace):
    """State and metrics of each experiment on the current commit, by name."""
    shown = json.loads(workspace.dvc("exp", "show", "--json"))
    found = {}
    for baseline in shown:
        for experiment in baseline["experiments"] or []:
            (revision,) = experiment["revs"]
            state = (experiment["executor"] or {}).get("state")
            data = revision["data"]
            metrics = data["metrics"]["metrics.json"]["data"]
            train = data["params"]["params.yaml"]["data"]["train"]
            found[revision["name"]] = state, metrics, train
    return found


@pytest.mark.hardening
@pytest.mark.parametrize(("method", "storage"), [("fp16", "float16"), ("fp32", "float32")])
def test_the_method_decides_what_is_stored(workspace, method, storage):
    output = workspace.dvc("exp", "run", "-S", f"train.method={method}", "-S", "folds=[0]")
    assert stages_run(output) == ["train@0", "evaluate@0", "summarize"]
    model = load_model(workspace.path("models/0.safetensors"))
    assert model.settings.method == method
    for side in (model.users, model.items):
        assert {name: str(rows.dtype) for name, rows in side.table.stored.items()} == {
            storage: storage
        }
    metrics = workspace.json("metrics.json")
    assert metrics["method"] == method
    assert metrics["storage"] == storage
    traffic = {name: value for name, value in metrics.items() if name.startswith("traffic_")}
    assert traffic == {f"traffic_{storage}": 1.0}
    assert metrics["relative_bytes"] == {"float32": 1.0, "float16": 0.5}[storage]
    assert metrics["factor_bytes"] == (120 + 80) * 16 * (4 if storage == "float32" else 2)


@pytest.mark.hardening
def test_a_queued_sweep(workspace):
    sweep = ("-S", "train.method=fp16,mascot", "-S", "train.factors=8,16", "-S", "folds=[0]")
    workspace.dvc("exp", "run", *sweep, "--queue")
    try:
        workspace.dvc("exp", "run", "--run-all", "--jobs", "2")
    finally:
        workspace.dvc("queue", "stop")  # its workers would wait for more
    found = finished_experiments(workspace)
    assert [state for state, _, _ in found.values()] == ["success"] * 4
    tried = {(metrics["method"], train["factors"]) for _, metrics, train in found.values()}
    assert tried == {("fp16", 8), ("fp16", 16), ("mascot", 8), ("mascot", 16)}
    for _, metrics, train in found.values():
        assert metrics["method"] == train["method"]
        assert 0 < metrics["rmse_mean"] < 3
    assert workspace.json("metrics.json")["method"] == "mascot"  # the workspace is as it was


def test_a_temporary_experiment_runs_its_own_code(workspace):
    for name, line in (
        (
            "pipeline/train.py",
            "start = None if checkpoints is None else _load(checkpoints, say=leads)",
        ),
        ("mascot_jax/training/loop.py", "jax.block_until_ready(state)"),
    ):
        path = workspace.path(name)
        source = path.read_text(encoding="utf-8")
        assert f"    {line}\n" in source
        trace = f'    print("trace", __file__, flush=True)\n    {line}\n'
        path.write_text(source.replace(f"    {line}\n", trace, 1), encoding="utf-8")
    output = workspace.dvc("exp", "run", "--temp", "-S", "folds=[0]", "-S", "train.epochs=3")
    assert stages_run(output) == ["train@0", "evaluate@0", "summarize"]
    traces = [line.split(" ", 1)[1] for line in output.splitlines() if line.startswith("trace ")]
    assert [trace.rsplit("/", 1)[1] for trace in traces] == ["train.py", "loop.py"]
    own = str(workspace.path(".dvc/tmp/exps"))
    assert all(trace.startswith(own) for trace in traces), traces
    assert workspace.json("metrics.json")["rmse_fold1"]  # the workspace's results stay


def run_movielens(workspace, name, folder, **settings):
    """Run an experiment on a local archive with the paper's settings; return its metrics."""
    paper = {
        "data.name": name, "data.source": (folder / f"{name}.zip").absolute(),
        "data.users": "null", "data.items": "null", "data.ratings": "null",
        "regroup.user_groups": 100, "regroup.item_groups": 100, "train.epochs": 50,
        "train.learning_rate": 0.01, "train.threshold": "null", "train.sample_ratio": "null",
    }  # fmt: skip
    values = paper | {key.replace("__", "."): value for key, value in settings.items()}
    options = [part for key, value in values.items() for part in ("-S", f"{key}={value}")]
    workspace.dvc("exp", "run", *options)
    return workspace.json("metrics.json")


@pytest.mark.realdata
def test_movielens_100k_from_a_local_archive(workspace, real_data):
    metrics = run_movielens(workspace, "ml-100k", real_data, folds="[0]")
    report = workspace.json("data/split/report.json")
    assert (report["ratings"], report["users"], report["items"]) == (100_000, 943, 1682)
    assert "rmse_floor" not in metrics
    assert 0.90 < metrics["rmse_mean"] < 0.99


@pytest.mark.realdata
def test_movielens_1m_with_the_papers_settings(workspace, real_data):
    metrics = run_movielens(
        workspace,
        "ml-1m",
        real_data,
        folds="[0,1,2,3,4]",
        train__method="fp32",
        train__factors=128,
    )
    report = workspace.json("data/split/report.json")
    assert (report["ratings"], report["users"], report["items"]) == (1_000_209, 6040, 3706)
    assert metrics["rmse_mean"] == pytest.approx(0.861, abs=0.002)


@pytest.mark.hardening
def test_pruned_trainings(workspace):
    wanted = "train.pruning={method: project, factors: 8, epoch: 2}"
    workspace.dvc("exp", "run", "-S", wanted, "-S", "train.method=fp16", "-S", "folds=[0]")
    model = load_model(workspace.path("models/0.safetensors"))
    epochs = model.settings.epochs
    metrics = workspace.json("metrics.json")
    assert (model.factors, model.settings.factors) == (8, 16)
    assert metrics["factor_bytes"] == (120 + 80) * 8 * 2
    assert metrics["relative_bytes"] == pytest.approx((2 + (epochs - 2) / 2) / epochs / 2)
    assert metrics["traffic_float16"] == pytest.approx(1)
    workspace.set(train__pruning={"method": "early-exit", "rate": 0.1})
    workspace.dvc("repro")
    scores = workspace.json("results/scores/0.json")
    assert scores["rmse_pruned"] > 0
    assert 0 < scores["visited"] < 1
