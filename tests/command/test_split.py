"""``mascot split``, ``mascot cross-validate`` and ``mascot tune``."""

import re
import shlex

import numpy as np
import polars as pl
import pytest

from mascot_jax import MatrixFactorization
from mascot_jax.command.tune import parse_space
from mascot_jax.errors import SettingsError
from mascot_jax.model_selection import Range
from tests.command.conftest import planted
from tests.support.ratings import QUICK, small_frame

OPTIONS = ("--factors", 2, "--epochs", 1, "--threads", 1, "--no-biases",
           "--user-groups", 1, "--item-groups", 1)  # fmt: skip
"""The same as QUICK."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pl.from_pandas(small_frame()).write_csv("ratings.csv")
    return tmp_path


def split(mascot_json, ratings, *options):
    paths = ("--train", "train.csv", "--test", "test.csv")
    (report,) = mascot_json("split", ratings, *paths, *options)
    parts = [pl.read_csv(name) for name in ("train.csv", "test.csv")]
    assert [report["train_ratings"], report["test_ratings"]] == [len(part) for part in parts]
    return parts


def test_pairs_are_divided_as_well(folder, mascot_json):
    frame = pl.from_pandas(small_frame()).select("user", "item")
    frame.write_csv("pairs.csv")
    parts = split(mascot_json, "pairs.csv", "--test-size", 0.25)
    assert [part.columns for part in parts] == [["user", "item"]] * 2
    assert sorted(pl.concat(parts).rows()) == sorted(frame.rows())


def last_of_each(frame):
    return frame.sort("timestamp").group_by("user").last()["rating", "user", "item"]


def as_rows(frame):
    return sorted(frame.select("user", "item", "rating").rows())


@pytest.mark.parametrize(
    "name", ["r.csv", "r.parquet", "r.data", "r.dat", "dates.csv", "floats.csv"]
)
def test_the_last_rating_of_each_user_is_tested(folder, mascot_json, name):
    frame = pl.from_pandas(small_frame()).select("user", "item", "rating", "timestamp")
    seconds = frame.with_columns(pl.col("timestamp").dt.epoch("s"))
    match name:
        case "r.csv":
            seconds.write_csv(name)
        case "r.parquet":
            frame.write_parquet(name)
        case "r.data":
            seconds.write_csv(name, separator="\t", include_header=False)
        case "r.dat":
            rows = ("::".join(map(str, row)) for row in seconds.rows())
            (folder / name).write_text("\n".join(rows))
        case "dates.csv":
            frame.with_columns(pl.col("timestamp").dt.to_string("%Y-%m-%d %H:%M")).write_csv(name)
        case "floats.csv":
            seconds.with_columns(pl.col("timestamp") / 7).write_csv(name)
    train, test = split(mascot_json, name, "--how", "last")
    assert as_rows(test) == as_rows(last_of_each(frame))
    assert as_rows(pl.concat([train, test])) == as_rows(frame)
    assert test.columns == ["user", "item", "rating", "timestamp"]


def test_files_keep_the_names_of_their_columns(folder, mascot_json):
    names = {"user": "who", "item": "what", "rating": "stars", "timestamp": "when"}
    pl.read_csv("ratings.csv").rename(names).write_csv("other.csv")
    options = [word for name, new in names.items() for word in
               (f"--{'time' if name == 'timestamp' else name}", new)]  # fmt: skip
    for how in ("random", "time"):
        _, test = split(mascot_json, "other.csv", *options, "--how", how)
        assert test.columns == list(names.values())
    _, test = split(mascot_json, "other.csv", *options[:-2], "--test-size", 7)
    assert (test.columns, len(test)) == (list(names.values())[:-1], 7)


def test_movielens_brings_its_times(folder, mascot_json):
    lines = [f"{user}\t{item}\t{3}\t{100 - item}" for user in (1, 2) for item in (1, 2, 3)]
    (folder / "ml-100k").mkdir()
    (folder / "ml-100k" / "u.data").write_text("\n".join(lines) + "\n")
    _, test = split(mascot_json, "ml-100k", "--how", "last")
    assert as_rows(test) == [(1, 1, 3.0), (2, 1, 3.0)]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--test", "test.txt"], 2, "--test: 'test.txt': must end in .csv, .tsv, .parquet"),
        (["--test", "train.csv"], 2, "name two files"),
        (["--test", "ratings.csv"], 2, "'ratings.csv': is read from 'ratings.csv': name another"),
        (["--test-size", "60"], 2, "--test-size: 60: of 60 ratings, none is left to train on"),
        (["--test-size", "most"], 2, "argument --test-size: invalid number value: 'most'"),
        (["--test-size", "inf"], 2, "--test-size: inf: must be a share between 0 and 1, or a"),
        (["--test-size", "nan"], 2, "--test-size: nan: must be a share between 0 and 1, or a"),
        (["--test-size", "0"], 2, "--test-size: 0: must be a share between 0 and 1, or a"),
        (
            ["--how", "last", "--time", "note"],
            1,
            "the time of rating 1 is 'kept': times are",
        ),
        (["--time", "when"], 1, "column 'when' (--time) is not there"),
    ],
)
def test_what_cannot_be_split_is_refused(folder, mascot, options, code, message):
    before = (folder / "ratings.csv").read_text()
    argv = ("split", "ratings.csv", "--train", "train.csv", "--test", "test.csv", *options)
    found, out, err = mascot(*argv)
    assert (found, out) == (code, "")
    assert message in err
    assert sorted(path.name for path in folder.iterdir()) == ["ratings.csv"]
    assert (folder / "ratings.csv").read_text() == before


@pytest.mark.parametrize(
    ("place", "output"),
    [
        ("ratings.csv:x", "ratings.csv"),
        ("ratings.csv", "ratings.csv"),
        ("ratings.csv", "linked.csv"),
        ("ratings.csv", "symbolic.csv"),
        (".", "ratings.csv"),
        (".:ratings.csv", "ratings.csv"),
        (".:rat*", "linked.csv"),
    ],
)
@pytest.mark.parametrize("option", ["--train", "--test"])
def test_what_is_read_is_never_written(folder, mascot, place, output, option):
    (folder / "linked.csv").hardlink_to("ratings.csv")
    (folder / "symbolic.csv").symlink_to("ratings.csv")
    before = (folder / "ratings.csv").read_text()
    paths = {"--train": "train.csv", "--test": "test.csv"} | {option: output}
    code, _, err = mascot("split", place, *(word for path in paths.items() for word in path))
    assert (code, f"{option}: {output!r}: is read from {place!r}" in err) == (2, True)
    assert (folder / "ratings.csv").read_text() == before
    assert not (folder / "train.csv").exists()


def test_a_split_can_be_made_again(folder, mascot_json):
    for place in ("ratings.csv", ".:ratings.csv", "ratings.csv"):
        assert len(split(mascot_json, place)) == 2


def test_cross_validation_is_a_loop_written_by_hand(folder, mascot_json):
    argv = ("ratings.csv", *OPTIONS, "--folds", 3, "--fold-seed", 4, "--seed", 1)
    *folds, mean = mascot_json("cross-validate", *argv)
    frame = small_frame()
    order = np.random.default_rng(4).permutation(len(frame))
    rmses = []
    for number in range(3):
        test = np.isin(np.arange(len(frame)), order[number::3])
        model = MatrixFactorization(**QUICK, seed=1).fit(frame[~test])
        errors = (
            model.predict(frame.user[test], frame.item[test]).astype(float) - frame.rating[test]
        )
        rmses.append(float(np.sqrt(np.mean(errors**2))))
        assert folds[number]["rmse"] == pytest.approx(rmses[-1], rel=1e-12)
        assert folds[number]["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-12)
    assert (mean["event"], mean["folds"]) == ("mean", 3)
    assert mean["rmse"] == pytest.approx(np.mean(rmses))
    assert mean["std"]["rmse"] == pytest.approx(np.std(rmses, ddof=1))


def test_cross_validation_for_people(folder, mascot, mascot_json):
    argv = ("cross-validate", "ratings.csv", *OPTIONS, "--folds", 2, "--top-n", 3)
    code, out, err = mascot(*argv, "--sampled", 2)
    assert (code, err) == (0, "")
    header, *rows = out.splitlines()
    assert header.split()[:3] == ["fold", "rmse", "mae"]
    assert "hit rate" in header
    assert "sampled ndcg" in header
    assert "of popularity" not in header
    assert [row.split()[0] for row in rows] == ["0", "1", "mean", "std", "mean"]
    assert rows[-1].startswith("mean of most rated")
    place = header.index("ndcg")
    (mean,) = mascot_json(*argv)[-1:]
    assert rows[-1][: place + 4].split()[-1] == f"{mean['ndcg_of_popularity']:.4f}"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--folds", "1"], "--folds: 1: must be a whole number from 2"),
        (["--patience", "3"], "--validation is 0: set --validation to a share"),
        (["--relevant", "3"], "--relevant: 3.0: is of lists: give --top-n, too"),
    ],
)
def test_what_cannot_be_validated_is_refused(folder, mascot, argv, message):
    code, out, err = mascot("cross-validate", "ratings.csv", *argv)
    assert (code, out) == (2, "")
    assert message in err


def test_a_search_goes_on_and_says_how_to_train(folder, mascot, mascot_json):
    search = ("tune", "ratings.csv", *OPTIONS[2:], "--folds", 2, "--study", "study.db",
              "--vary", "factors=2", "--vary", "learning-rate=0.01..0.1:log")  # fmt: skip
    *trials, best = mascot_json(*search, "--trials", 2)
    assert [trial["trial"] for trial in trials] == [0, 1]
    assert best["value"] == min(trial["value"] for trial in trials)
    trial, best = mascot_json(*search, "--trials", 3)
    assert (trial["trial"], best["trials"]) == (2, 3)
    code, out, err = mascot(*search, "--trials", 3)
    assert (code, err) == (0, "")
    assert "best of 3 trials" in out
    (command,) = re.findall("^  mascot (.*)$", out, re.MULTILINE)
    assert str(best["settings"]["learning_rate"]) in command
    assert mascot(*shlex.split(command))[0] == 0
    fitted = MatrixFactorization.load("model.safetensors")
    assert fitted.learning_rate == best["settings"]["learning_rate"]
    assert fitted.model_.users.rating_counts.sum() == 60


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--vary", "epoch=1,2"], "--vary: epoch: 1: unknown parameter"),
        (["--vary", "factors"], "--vary: 'factors': must be a setting and its values"),
        (["--vary", "factors=a..b"], "--vary: 'factors=a..b': a range is of two numbers"),
        (["--factors", "8"], "--factors: 8: is searched: leave it out"),
        (["--epochs", "0"], "--epochs: 0: must be greater"),
        (["--relevant", "3"], "--relevant: 3.0: is of lists: give --top-n, too"),
    ],
)
def test_what_cannot_be_searched_is_refused(folder, mascot, argv, message):
    code, out, err = mascot("tune", "ratings.csv", *argv)
    assert (code, out) == (2, "")
    assert f"mascot: {message}" in err


@pytest.mark.parametrize(
    "argv", [("cross-validate", *OPTIONS), ("tune", *OPTIONS[2:], "--vary", "factors=2,4")]
)
def test_a_warning_of_the_ratings_is_a_message_once(folder, mascot, argv):
    ratings = pl.read_csv("ratings.csv").with_columns(rating=(pl.int_range(pl.len()) % 15) ** 6)
    ratings.write_csv("counts.csv")
    command, *options = argv
    trials = ("--trials", 2) if command == "tune" else ()
    code, _, err = mascot(command, "counts.csv", *options, "--folds", 2, *trials)
    (line,) = err.splitlines()
    assert (code, line.startswith("mascot: ratings go from ")) == (0, True)


def test_a_metric_of_lists_takes_what_is_relevant(folder, mascot_json):
    search = ("tune", "ratings.csv", *OPTIONS[2:], "--folds", 2, "--vary", "factors=2")
    trial, best = mascot_json(*search, "--trials", 1, "--metric", "ndcg", "--relevant", 3)
    assert trial["event"] == "trial"
    assert best["value"] == trial["value"]


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("factors=32,64", "factors", [32, 64]),
        ("learning-rate=0.003..0.05:log", "learning_rate", Range(0.003, 0.05, log=True)),
        ("factors=8..64", "factors", Range(8, 64)),
        ("user_reg=1e-3..0.1", "user_reg", Range(1e-3, 0.1)),
        ("biases=yes,no,null", "biases", [True, False, None]),
        ("method=fp32,mascot", "method", ["fp32", "mascot"]),
    ],
)
def test_values_to_search(text, name, values):
    assert parse_space(text) == (name, values)


@pytest.mark.parametrize("text", ["", "=1", "factors=", "factors"])
def test_what_is_no_setting_is_refused(text):
    with pytest.raises(SettingsError, match="--vary: "):
        parse_space(text)


def test_evaluation_of_a_training_file_says_so(made, model, mascot, mascot_json):
    lists = ("evaluate", model, made / "ratings.csv", "--top-n", 5)
    code, out, err = mascot(*lists)
    assert code == 0
    assert err.startswith("mascot: 1300 of 1300 ratings are of pairs that the model was trained on")
    assert "(mascot split)" in err
    assert "--include-seen lists them, too" in err
    assert re.search(r"^ndcg +0\.0000 +0\.0000$", out, re.MULTILINE)
    (found,) = mascot_json(*lists, "--include-seen")
    assert (found["seen"], found["ndcg"] > 0.3) == (1300, True)
    code, _, err = mascot("evaluate", model, made / "test.csv", "--include-seen")
    assert (code, "--include-seen: is of lists: give --top-n" in err) == (2, True)


def test_scores_of_lists_are_clipped_where_asked(model, mascot_json):
    lists = [mascot_json("recommend", model, "--all", "-n", 3, *clip) for clip in ([], ["--clip"])]
    for free, clipped in zip(*lists, strict=True):
        assert clipped == free | {"score": min(max(free["score"], 1.0), 5.0)}
    assert planted()["rating"].max() == 5
