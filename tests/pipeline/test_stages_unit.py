"""The stages' own functions, without DVC."""

import json
import sys

import numpy as np
import pytest

import pipeline
from mascot_jax.errors import DataError
from mascot_jax.settings.methods import PAPER
from mascot_jax.tables.storage import FLOAT16, FLOAT32
from mascot_jax.training.records import SideRecord
from pipeline import summarize
from pipeline.common import paths, stage
from pipeline.epoch_log import q_error_rows


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def score(rmse, **changed):
    settings = {
        "method": "mascot", "storage": "float16", "rounding": "nearest",
        "criterion": "gradient-diversity", "threshold": 20.0,
        "period": 2, "sample_ratio": 0.05, "warmup": 5, "validation": 0.0, "factors": 128,
        "recipe": "paper", **PAPER._asdict(),
    }  # fmt: skip
    return {
        "rmse": rmse, "mae": rmse / 2, "cold_ratings": 1, "factor_bytes": 100, "model": f"m{rmse}",
        "epochs_trained": 50, "rmse_of_mean": 4 * rmse, "rmse_of_biases": 3 * rmse,
        "traffic": {"float16": 1.0}, "settings": settings,
    } | changed  # fmt: skip


def timing(model, **changed):
    return {
        "model": model, "train_seconds": 2.0, "updates": 100, "peak_memory_bytes": 5, "threads": 2,
        "backend": "cpu", "processor": "p", "cores": 2, "instruction_set": "avx2",
    } | changed  # fmt: skip


class TestMetrics:
    def test_mean_and_spread(self):
        paths.write_json(paths.RAW_FACTS, {"rmse_floor": 0.5, "rmse_bias_only": 0.75, "low": 1})
        metrics = summarize.metrics({0: score(1.0), 3: score(2.0)})
        assert metrics["rmse_mean"] == 1.5
        assert metrics["rmse_std"] == pytest.approx(0.5**0.5)
        assert metrics["mae_mean"] == 0.75
        assert (metrics["rmse_of_mean"], metrics["rmse_of_biases"]) == (6.0, 4.5)
        assert (metrics["rmse_fold0"], metrics["rmse_fold3"]) == (1.0, 2.0)
        assert (metrics["rmse_floor"], metrics["rmse_bias_only"]) == (0.5, 0.75)
        assert metrics["cold_ratings"] == 2
        assert "low" not in metrics

    def test_one_fold_has_no_spread(self):
        paths.write_json(paths.RAW_FACTS, {})
        metrics = summarize.metrics({2: score(1.0)})
        assert metrics["rmse_std"] == 0
        assert "rmse_floor" not in metrics

    def test_lists_are_means_over_the_folds(self):
        paths.write_json(paths.RAW_FACTS, {})
        scores = {n: score(1.0, lists={"ndcg": 0.1 * n, "ndcg_of_popularity": n}) for n in (1, 2)}
        metrics = summarize.metrics(scores)
        assert metrics["ndcg_mean"] == pytest.approx(0.15)
        assert metrics["ndcg_of_popularity"] == 1.5
        assert "ndcg_mean" not in summarize.metrics({0: score(1.0)})

    def test_traffic_has_a_key_per_storage_in_use(self):
        paths.write_json(paths.RAW_FACTS, {})
        mixed = score(1.0, traffic={"float16": 0.5, "float32": 0.5})
        both = summarize.metrics({0: mixed, 1: score(1.0)})
        assert (both["traffic_float16"], both["traffic_float32"]) == (0.75, 0.25)
        assert "traffic_float32" not in summarize.metrics({0: score(1.0)})

    def test_epochs_trained_and_the_validation_error_of_the_models(self):
        paths.write_json(paths.RAW_FACTS, {})
        assert summarize.metrics({0: score(1.0)})["epochs_trained"] == 50
        assert "validation_rmse_mean" not in summarize.metrics({0: score(1.0)})
        settings = score(1.0)["settings"] | {"validation": 0.1}
        for fold, rmses in ((0, "0.5 0.25 0.75"), (1, "0.5 0.75")):
            path = paths.epochs(fold) / "plots" / "metrics" / "validation_rmse.tsv"
            path.parent.mkdir(parents=True)
            lines = ["step\tvalidation_rmse", *(f"0\t{rmse}" for rmse in rmses.split())]
            path.write_text("\n".join(lines), encoding="utf-8")
        metrics = summarize.metrics(
            {n: score(1.0, settings=settings, epochs_trained=2 - n) for n in (0, 1)}
        )
        assert metrics["epochs_trained"] == 1.5
        assert metrics["validation_rmse_mean"] == 0.375  # of epochs 1 and 0


class TestTimings:
    def test_mean_over_the_folds(self):
        paths.write_json(paths.timing(0), timing("m1.0"))
        paths.write_json(paths.timing(1), timing("m2.0", train_seconds=3.0, peak_memory_bytes=9))
        timings = summarize.timings({0: score(1.0), 1: score(2.0)})
        assert timings["train_seconds"] == 2.5
        assert timings["updates_per_s"] == 40
        assert timings["peak_memory_bytes"] == 9
        assert timings["folds_timed"] == 2

    def test_of_another_model_does_not_count(self):
        paths.write_json(paths.timing(0), timing("m1.0"))
        paths.write_json(paths.timing(1), timing("another"))
        assert summarize.timings({0: score(1.0), 1: score(2.0)})["folds_timed"] == 1

    def test_a_gpu_is_named(self):
        paths.write_json(paths.timing(0), timing("m1.0", backend="cuda", device="NVIDIA H200"))
        timings = summarize.timings({0: score(1.0)})
        assert (timings["backend"], timings["device"]) == ("cuda", "NVIDIA H200")
        paths.write_json(paths.timing(0), timing("m1.0"))
        assert "device" not in summarize.timings({0: score(1.0)})

    def test_none(self):
        assert summarize.timings({0: score(1.0)}) == {"train_seconds": None, "folds_timed": 0}


class TestQErrorRows:
    def rows(self, *baseline):
        record = SideRecord(
            np.array([1, 0, 1, 1], dtype=np.uint8),
            np.array([0.5, 4.0, np.nan, 0.0], dtype=np.float32),
            np.array(baseline, dtype=np.float32),
        )
        return q_error_rows(7, "items", record, (FLOAT16, FLOAT32))

    def test_a_row_per_measured_group(self):
        rows = self.rows(0.25, 1.0, 1.0, 1.0)
        assert [row["group"] for row in rows] == [0, 1, 3]
        assert [row["storage"] for row in rows] == ["float16", "float32", "float16"]
        assert [row["q_error"] for row in rows] == [0.5, 4.0, 0.0]
        assert {(row["side"], row["epoch"]) for row in rows} == {("items", 7)}

    def test_growth_over_the_baseline(self):
        assert [row["log2_growth"] for row in self.rows(0.25, 1.0, 1.0, 1.0)] == [1.0, 2.0, None]

    def test_no_growth_without_a_baseline(self):
        nan = np.nan
        rows = self.rows(nan, 0.0, nan, nan)
        assert [row["log2_growth"] for row in rows] == [None, None, None]
        json.dumps(rows, allow_nan=False)


class TestErrors:
    def test_bad_input_is_one_line_and_status_2(self, capsys):
        with pytest.raises(SystemExit) as caught:
            pipeline._report(DataError, DataError("a.csv:3: bad"), None)
        assert caught.value.code == 2
        assert capsys.readouterr().err == "error: a.csv:3: bad\n"

    def test_a_full_disk_is_one_line(self, capsys):
        with pytest.raises(SystemExit):
            pipeline._report(OSError, OSError(28, "No space left on device", "x"), None)
        assert capsys.readouterr().err == "error: [Errno 28] No space left on device: 'x'\n"

    def test_our_own_mistakes_keep_their_traceback(self, capsys):
        pipeline._report(KeyError, KeyError("x"), None)
        assert "KeyError: 'x'" in capsys.readouterr().err

    def test_importing_the_stages_changes_nothing(self):
        assert sys.excepthook is not pipeline._report


def test_help_says_how_a_stage_runs(capsys, monkeypatch):
    from pipeline.train import train

    monkeypatch.setattr(sys, "argv", ["train.py", "--help"])
    with pytest.raises(SystemExit) as caught:
        stage.run_fold_stage(train)
    assert caught.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith("usage: python -m pipeline.train [-h] fold\n")
    assert "params.yaml" in said
