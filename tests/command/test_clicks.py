"""``mascot clicks``: from a file of clicks to probabilities."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mascot_jax import ClickModel
from mascot_jax.clicks import encode_like
from mascot_jax.command import progress
from tests.command.conftest import planted_clicks

CHECKOUT = Path(__file__).parents[2]

SMALL = ("--bottom", "16", "--top", "16", "--epochs", "1", "--threads", "1")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_train_reports_epochs_and_the_model(made_clicks, tmp_path, mascot_json):
    argv = ["clicks", "train", made_clicks / "clicks.csv", "-o", tmp_path / "m", "--dense", "age"]
    *epochs, model = mascot_json(*argv, *SMALL, "--epochs", 3, "--min-count", 2)
    assert [record["epoch"] for record in epochs] == [1, 2, 3]
    assert epochs[-1]["validation_auc"] == model["validation_auc"]
    assert (model["rows"], model["validation_rows"]) == (630, 70)
    assert model["checkpoint"] is None
    assert names(tmp_path) == ["m"]


def test_predictions_are_the_librarys(made_clicks, tmp_path, mascot):
    out = tmp_path / "p.parquet"
    argv = [made_clicks / "clicks.safetensors", made_clicks / "new_clicks.csv", "-o", out]
    assert mascot("clicks", "predict", *argv) == (0, "", "")
    model = ClickModel.load(made_clicks / "clicks.safetensors")
    rows = encode_like(model.encoder, made_clicks / "new_clicks.csv", labelled=None)
    found = pl.read_parquet(out)
    np.testing.assert_array_equal(found["probability"], model.predict_proba(rows))
    assert found["row"].to_list() == list(range(20))


def test_unseen_ids_are_counted_on_stderr(made_clicks, tmp_path, mascot):
    rows = planted_clicks(10).with_columns(site=pl.lit("elsewhere"))
    rows.write_csv(tmp_path / "rows.csv")
    argv = [made_clicks / "clicks.safetensors", tmp_path / "rows.csv"]
    code, out, err = mascot("clicks", "evaluate", *argv)
    assert code == 0
    assert "auc" in out
    assert "of 10 rows, so many have an id that was unseen or rare in training" in err
    assert "site 10" in err


def test_an_auc_that_is_not_defined_is_said(made_clicks, tmp_path, mascot):
    planted_clicks(50).filter(pl.col("label") == 1).write_csv(tmp_path / "rows.csv")
    argv = [made_clicks / "clicks.safetensors", tmp_path / "rows.csv"]
    code, out, err = mascot("clicks", "evaluate", *argv)
    assert code == 0
    assert "auc" not in out
    assert "the AUC is not defined" in err


BAD = {
    "label": ([], "label,age,site\n0,1,a\n2,1,a\n", 1, "line 3: the label '2' is not 0 or 1"),
    "one class": ([], "label,site\n" + "1,a\n" * 50, 1, "has the label 1: there is nothing"),
    "batch": ([], "label,site\n" + "1,a\n0,a\n" * 50, 1, "fewer than a batch, 128: set batch_size"),
    "column": (["--dense", "size"], "label,age\n1,2\n", 1, "column 'size' (--dense) is not there"),
    "setting": (["--min-count", "0"], "label,age\n1,2\n", 2, "--min-count: 0: must be greater"),
    "widths": (["--top", "16,x"], "label,age\n1,2\n", 2, "argument --top: invalid ints value"),
}


@pytest.mark.parametrize(("options", "text", "wanted", "problem"), BAD.values(), ids=BAD)
def test_bad_input_leaves_no_model(tmp_path, mascot, options, text, wanted, problem):
    (tmp_path / "rows.csv").write_text(text)
    argv = [tmp_path / "rows.csv", "-o", tmp_path / "m", *options]
    code, out, err = mascot("clicks", "train", *argv)
    assert (code, out) == (wanted, "")
    assert problem in err
    assert names(tmp_path) == ["rows.csv"]


def test_rows_from_standard_input(made_clicks, tmp_path):
    code = "import sys; from mascot_jax.command.main import run; sys.exit(run())"
    argv = [sys.executable, "-c", code, "clicks", "train", "-", "-o", str(tmp_path / "m")]
    with (made_clicks / "clicks.csv").open("rb") as rows:
        done = subprocess.run(
            [*argv, "--dense", "age", *SMALL], stdin=rows, capture_output=True, check=False,
            cwd=CHECKOUT,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"630 rows" in done.stdout


def test_a_file_that_is_not_there(made_clicks, tmp_path, mascot):
    for action in (
        ["train", "-o", tmp_path / "m"],
        ["predict", made_clicks / "clicks.safetensors"],
    ):
        code, _, err = mascot("clicks", *action, tmp_path / "none.csv")
        assert code == 1
        assert "none.csv: there is no such file" in err


def test_rows_are_not_overwritten(made_clicks, mascot):
    rows = made_clicks / "clicks.csv"
    code, _, err = mascot("clicks", "train", rows, "-o", rows)
    assert code == 2
    assert "--output" in err


def test_a_model_without_an_encoder_says_so(made_clicks, tmp_path, mascot):
    model = ClickModel.load(made_clicks / "clicks.safetensors")
    model.model_ = type(model.model_)(**{**vars(model.model_), "encoder": None})
    model.save(tmp_path / "m")
    code, _, err = mascot("clicks", "predict", tmp_path / "m", made_clicks / "new_clicks.csv")
    assert code == 1
    assert "holds no encoder" in err
    assert mascot("clicks", "inspect", tmp_path / "m")[0] == 0


def test_help_of_each_has_examples(mascot):
    for name in ("train", "predict", "evaluate", "inspect"):
        code, out, _ = mascot("clicks", name, "--help")
        assert code == 0
        assert f"  mascot clicks {name} " in out


def test_ctrl_c_saves_and_resume_ends_in_the_same_bytes(made_clicks, tmp_path, mascot, monkeypatch):
    def train(name, *more):
        argv = [made_clicks / "clicks.csv", "-o", tmp_path / name, *SMALL, "--epochs", 3, *more]
        return mascot("clicks", "train", *argv)

    assert train("whole")[0] == 0
    add = progress.ClickDisplay.add

    def add_then_signal(self, record):
        add(self, record)
        os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(progress.ClickDisplay, "add", add_then_signal)
        code, out, err = train("cut")
    assert (code, "1 epochs" in out) == (130, True)
    assert "interrupted: the model so far is saved; --resume goes on from" in err
    assert train("cut")[0] == 2  # its checkpoint may hold hours of work
    assert train("cut", "--resume")[0] == 0
    assert (tmp_path / "cut").read_bytes() == (tmp_path / "whole").read_bytes()
    assert names(tmp_path) == ["cut", "whole"]
