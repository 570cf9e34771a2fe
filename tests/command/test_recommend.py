"""``mascot recommend``."""

import io

import polars as pl
import pytest

from mascot_jax import MatrixFactorization
from mascot_jax.mf.model_file import load_model, save_model
from tests.command.conftest import SMALL, USERS, planted


def by_user(rows):
    lists = {}
    for row in rows:
        assert row["rank"] == len(lists.setdefault(row["user"], [])) + 1
        lists[row["user"]].append(row["item"])
    return lists


def test_lists_are_the_models(model, mascot_json):
    rows = mascot_json("recommend", model, "--users", 7, 3, "-n", 4)
    found = MatrixFactorization.load(model).recommend([7, 3], 4)
    assert [row["item"] for row in rows] == found.items.tolist()
    assert [row["score"] for row in rows] == found.scores.tolist()
    assert list(by_user(rows)) == [7, 3]


def test_seen_items_are_left_out_unless_asked_for(model, mascot_json):
    seen = set(planted().head(1300).filter(pl.col("user") == 7)["item"].to_list())
    assert not seen & set(by_user(mascot_json("recommend", model, "--users", 7, "-n", 40))[7])
    argv = ("recommend", model, "--users", 7, "-n", 40, "--include-seen")
    assert seen < set(by_user(mascot_json(*argv))[7])


def test_candidates_and_users_from_files(model, made, mascot_json):
    argv = ("--users-from", made / "users.txt", "--candidates", made / "new.txt", "--include-seen")
    lists = by_user(mascot_json("recommend", model, *argv))
    assert {user: sorted(items) for user, items in lists.items()} == {
        4: [101, 102, 103],
        5: [101, 102, 103],
    }


def test_all_users_into_a_file(model, tmp_path, mascot):
    path = tmp_path / "lists.csv"
    assert mascot("recommend", model, "--all", "-n", 2, "-o", path) == (0, "", "")
    frame = pl.read_csv(path)
    assert frame["user"].unique().sort().to_list() == list(range(1, USERS + 1))
    assert frame.columns == ["user", "rank", "item", "score"]


def test_unknown_users_are_named_and_get_the_most_rated(model, mascot):
    code, out, err = mascot("recommend", model, "--users", 1, 1000, -5, "-n", 1)
    assert code == 0
    assert "users not in the model: 1000, -5: recommended what most have rated" in err
    assert len(out.splitlines()) == 4


def test_a_model_without_seen_items_says_so(model, tmp_path, mascot):
    loaded = MatrixFactorization.load(model).model_
    path = tmp_path / "model"
    save_model(type(loaded)(**{**vars(loaded), "seen": None}), path)
    code, _, err = mascot("recommend", path, "--users", 1)
    assert code == 1
    assert "use --include-seen" in err
    assert mascot("recommend", path, "--users", 1, "--include-seen")[0] == 0


@pytest.mark.parametrize(
    ("options", "same"),
    [
        (("--popularity", 0.5), {"popularity": 0.5}),
        (("--popularity=-2",), {"popularity": -2.0}),
        (("--min-ratings", 33), {"min_ratings": 33}),
        (("--diversity", 1), {"diversity": 1.0}),
    ],
)
def test_options_of_lists_are_the_librarys(model, mascot_json, options, same):
    rows = mascot_json("recommend", model, "--all", "-n", 4, *options)
    fitted = MatrixFactorization.load(model)
    found = fitted.recommend(fitted.user_ids_, 4, **same)
    assert [(row["item"], row["score"]) for row in rows] == list(
        zip(found.items.tolist(), found.scores.tolist(), strict=True)
    )
    assert found.items.tolist() != fitted.recommend(fitted.user_ids_, 4).items.tolist()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--min-ratings", -1), "--min-ratings: -1: must be greater than or equal to 0"),
        (("--popularity", "nan"), "--popularity: nan: must be a finite number"),
        (("--diversity", 1.5), "--diversity: 1.5: must be less than or equal to 1"),
    ],
)
def test_options_of_lists_that_cannot_be_are_refused(model, mascot, options, said):
    code, out, err = mascot("recommend", model, "--all", *options)
    assert (code, out) == (2, "")
    assert said in err


STRANGE = ["007", "7", "Zoë", "a,b", 'say "so"', "-x"]


@pytest.fixture
def strange(tmp_path, mascot):
    """A model of users whose ids are strings of any content."""
    frame = planted().with_columns(
        pl.col("user").map_elements(lambda u: STRANGE[u % len(STRANGE)], return_dtype=pl.String)
    )
    frame.write_csv(tmp_path / "ratings.csv")
    assert mascot("train", tmp_path / "ratings.csv", "-o", tmp_path / "model", *SMALL)[0] == 0
    return tmp_path / "model"


def test_string_ids_are_taken_as_they_are(strange, tmp_path, mascot, mascot_json):
    assert load_model(strange).users.id_table.values.tolist() == sorted(STRANGE)
    (tmp_path / "users.txt").write_text("\n".join(STRANGE) + "\n")
    argv = ("recommend", strange, "--users-from", tmp_path / "users.txt", "--include-seen")
    rows = mascot_json(*argv, "-n", 1)
    assert [row["user"] for row in rows] == STRANGE
    code, _, err = mascot("recommend", strange, "--users", "007", 8, "--include-seen")
    assert code == 0
    assert "users not in the model: '8':" in err
    assert mascot(*argv, "-o", tmp_path / "out.csv")[0] == 0
    users = pl.read_csv(tmp_path / "out.csv", infer_schema=False)["user"]
    assert users.unique(maintain_order=True).to_list() == STRANGE


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_file_of_ids_is_refused(model, tmp_path, mascot, text):
    (tmp_path / "users.txt").write_text(text)
    code, _, err = mascot("recommend", model, "--users-from", tmp_path / "users.txt")
    assert code == 1
    assert "holds no ids: write one a line" in err


DASHED = ("-KxYz", "-", "-5", "--x", "-n", "-ox", "Ana", "--all")


@pytest.fixture
def dashed(tmp_path, mascot):
    lines = ["user,item,rating", *(f"{u},{i},{ord(i) - 96}" for u in DASHED for i in "abc")]
    (tmp_path / "r.csv").write_text("\n".join(lines))
    path = tmp_path / "m.safetensors"
    code, _, err = mascot("train", tmp_path / "r.csv", "-o", path, *SMALL, "--validation", "0")
    assert code == 0, err
    return path


@pytest.mark.parametrize(
    ("options", "users"),
    [
        (("--users", "-KxYz"), ["-KxYz"]),
        (("--users", "-5", "Ana", "-KxYz", "-n", "2"), ["-5", "Ana", "-KxYz"]),
        (("-n", "1", "--users", "--x", "-", "-n2"), ["--x", "-"]),
        (("--users=-n", "--users=--all", "--users=-ox", "--users", "-KxYz"),
         ["-n", "--all", "-ox", "-KxYz"]),
    ],
)  # fmt: skip
def test_ids_may_begin_with_a_dash(dashed, mascot_json, options, users):
    found = mascot_json("recommend", dashed, *options, "--include-seen")
    assert list(dict.fromkeys(row["user"] for row in found)) == users


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--users", "Ana", "-ox"), "-ox: an id, or the option -o? write --users=-ox or -o x"),
        (("--users",), "argument --users: expected at least one argument"),
        (("--users", "--all"), "argument --users: expected at least one argument"),
    ],
)
def test_what_may_be_an_id_or_an_option_is_asked_about(model, mascot, options, said):
    code, out, err = mascot("recommend", model, *options)
    assert (code, out) == (2, "")
    assert said in err


def test_users_from_standard_input(model, mascot, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"4\n5\n")))
    code, out, _ = mascot("recommend", model, "--users-from", "-", "-n", "1")
    assert (code, [line.split()[0] for line in out.splitlines()]) == (0, ["user", "4", "5"])
