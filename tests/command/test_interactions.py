"""The command with ``--objective interactions``."""

import numpy as np
import pytest

from tests.support.interactions import ITEMS, USERS, planted, split

OPTIONS = ("--objective", "interactions", "--factors", "8", "--threads", "1")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interactions")
    train, test = split(planted())
    plays = np.random.default_rng(0).integers(1, 9, len(train))
    write = {
        "pairs.csv": ["user,item", *(f"u{u},i{i}" for u, i in train)],
        "bare.csv": [f"u{u},i{i}" for u, i in train],
        "plays.csv": [
            "user,item,plays",
            *(f"u{u},i{i},{n}" for (u, i), n in zip(train, plays, strict=True)),
        ],
        "test.csv": ["user,item", *(f"u{u},i{i}" for u, i in test)],
    }
    for name, lines in write.items():
        (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def test_a_file_of_two_columns_will_do(files, tmp_path, mascot_json):
    path = tmp_path / "model"
    *epochs, last = mascot_json("train", files / "pairs.csv", "-o", path, *OPTIONS)
    scores = [epoch["validation_ndcg"] for epoch in epochs]
    assert len(scores) == 16
    assert last["validation_ndcg"] == scores[-1] > last["ndcg_of_popularity"] > 0
    assert {epoch["validation_rmse"] for epoch in (*epochs, last)} == {None}
    assert (last["users"], last["items"], last["objective"]) == (USERS, ITEMS, "interactions")
    (figures,) = mascot_json("evaluate", path, files / "test.csv")
    assert (figures["top_n"], "rmse" in figures) == (10, False)
    assert figures["ndcg"] > 0.2


def test_for_people_it_says_how_good_lists_are(files, tmp_path, mascot):
    bare = ("--user", "0", "--item", "1", *OPTIONS)
    code, out, err = mascot("train", files / "bare.csv", "-o", tmp_path / "model", *bare)
    assert (code, err) == (0, "")
    assert "interactions, 16 epochs" in out
    assert "of lists of 10, by the held-out 10% of the interactions" in out
    assert "of the most popular items" in out


@pytest.mark.parametrize(
    ("name", "options", "status"),
    [
        ("plays.csv", ("--rating", "plays", "--confidence", "log1p"), 0),
        ("plays.csv", ("--confidence", "equal"), 0),
        ("plays.csv", (), 1),  # which column is the value, if any, is not guessed
    ],
)
def test_values_are_named_or_left_out(name, options, status, files, tmp_path, mascot):
    code, _, err = mascot("train", files / name, "-o", tmp_path / "model", *options, *OPTIONS)
    assert code == status
    if status:
        assert "column 'rating' (--rating) is not there" in err


def test_a_file_without_ratings_names_the_objective(files, tmp_path, mascot):
    code, _, err = mascot("train", files / "pairs.csv", "-o", tmp_path / "model")
    assert code == 1
    assert "Or train with --objective interactions" in err


def test_cross_validation_and_search_are_of_lists(files, mascot_json):
    pytest.importorskip("optuna")
    *folds, mean = mascot_json("cross-validate", files / "pairs.csv", "--folds", "2", *OPTIONS)
    assert len(folds) == 2
    assert mean["ndcg"] > 0.2
    *_, best = mascot_json(
        "tune", files / "pairs.csv", "--vary", "negatives=2,8", "--sampler", "grid", "--folds",
        "2", *OPTIONS,
    )  # fmt: skip
    assert best["metric"] == "ndcg"
    assert best["settings"]["negatives"] in (2, 8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--backend", "cuda", "--order", "group-blocks"),
            "cuda has --order shuffled and runs only: set --backend to cpu",
        ),
        (("--biases",), "--biases: True: with --objective interactions"),
        (("--recipe", "paper"), "--recipe: 'paper': with --objective interactions"),
    ],
)
def test_what_does_not_suit_is_refused_before_any_work(options, message, files, tmp_path, mascot):
    path = tmp_path / "model"
    code, _, err = mascot("train", files / "pairs.csv", "-o", path, *OPTIONS, *options)
    assert code == 2
    assert message in err
    assert not list(tmp_path.iterdir())


def test_search_for_an_error_is_refused(files, mascot):
    code, _, err = mascot("tune", files / "pairs.csv", "--metric", "mae", *OPTIONS[:2])
    assert code == 2
    assert "metrics of lists only: choose ndcg" in err
