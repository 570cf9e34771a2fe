"""A fit with its ratings on disk: the bytes of one in memory."""

import gc
import pickle
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mascot_jax import MatrixFactorization
from mascot_jax.data import open_ratings, read_ratings
from mascot_jax.data.pieces import RatingsInPieces
from mascot_jax.engine.scratch import ScratchFolder
from mascot_jax.errors import DataError, RatingsWarning, SettingsError
from mascot_jax.mf import on_disk
from mascot_jax.mf.fit import fit_ratings
from mascot_jax.mf.interactions import read_interactions
from mascot_jax.mf.model_file import save_model
from mascot_jax.settings import RegroupSettings, RunSettings, TrainSettings
from mascot_jax.settings.defaults import with_defaults

SMALL = {"factors": 8, "epochs": 2, "threads": 2, "validation": 0.1, "user_groups": 4}


@pytest.fixture(autouse=True)
def _many_buckets(monkeypatch):
    monkeypatch.setattr(on_disk, "BUCKET", 100)
    monkeypatch.setattr(on_disk, "DIVIDED_AT_A_TIME", 64)


def ratings(seed=0, count=800, users=50):
    """Some pairs twice, with equal ratings and with other ones; few users have many."""
    rng = np.random.default_rng(seed)
    user = (users * rng.random(count) ** 3).astype(int)
    names = np.array([f"u{number}" for number in range(users)])
    item, rating = rng.integers(0, 30, count), rng.integers(1, 6, count)
    return pl.DataFrame({"user": names[user], "item": item, "rating": rating.astype(np.float32)})


def room(folder):
    """Bytes of this process's files without a name there, mapped ones included."""
    sizes = {}
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # of the folder that is read
            if link.readlink().is_relative_to(folder):
                file = link.stat()
                sizes[file.st_ino] = file.st_size
    return sum(sizes.values())


def saved(model, path):
    return save_model(model.model_, path)


@pytest.mark.parametrize("settings", [{}, {"method": "mascot", "recipe": "paper", "biases": None}])
def test_the_model_has_the_bytes_of_one_in_memory(tmp_path, settings):
    frame, scratch = ratings(), tmp_path / "scratch"
    in_memory = MatrixFactorization(**SMALL | settings).fit(frame)
    there = MatrixFactorization(**SMALL | settings, scratch=scratch).fit(frame.sample(fraction=1.0))
    assert saved(there, tmp_path / "there") == saved(in_memory, tmp_path / "here")
    epochs = [[e["validation_rmse"] for e in m.history_] for m in (there, in_memory)]
    assert epochs[0] == epochs[1]
    assert list(scratch.iterdir()) == []


def test_a_file_is_read_in_pieces(tmp_path):
    path = tmp_path / "ratings.csv"
    ratings().write_csv(path)
    whole = MatrixFactorization(**SMALL).fit(read_ratings(path))
    with open_ratings(path) as found:
        model = MatrixFactorization(**SMALL, scratch=tmp_path).fit(found)
        assert saved(model, tmp_path / "0") == saved(whole, tmp_path / "1")
        with pytest.raises(DataError, match=r"piece by piece .* set scratch to a folder"):
            MatrixFactorization(**SMALL).fit(found)


def test_a_training_begun_in_memory_goes_on_on_disk(tmp_path):
    settings = SMALL | {"epochs": 4, "checkpoint_every": 1}
    whole = MatrixFactorization(**settings).fit(ratings())
    keep = {"checkpoint": tmp_path / "checkpoint"}
    MatrixFactorization(**settings).fit(ratings(), callbacks=[lambda e: e["epoch"] == 1], **keep)
    rest = MatrixFactorization(**settings, scratch=tmp_path).fit(ratings(), resume=True, **keep)
    assert saved(rest, tmp_path / "rest") == saved(whole, tmp_path / "whole")


def test_warm_starts_are_the_same(tmp_path):
    earlier = MatrixFactorization(**SMALL).fit(ratings(seed=1))
    models = [
        MatrixFactorization(**SMALL, scratch=scratch, keep_seen=False).fit(ratings(), init=earlier)
        for scratch in (None, tmp_path)
    ]
    assert models[1].model_.seen is None
    assert saved(models[0], tmp_path / "0") == saved(models[1], tmp_path / "1")


def test_places_are_those_of_the_shuffle_in_memory(tmp_path):
    source = read_interactions(ratings())
    table = on_disk.TableOnDisk(source, 3, ScratchFolder(tmp_path), keep_seen=True)
    users, items, values = (np.array(column) for column in table.release())
    frame = ratings().sort("user", "item", "rating")
    order = np.arange(len(frame), dtype=np.uint32)
    np.random.default_rng(3).shuffle(order)
    expected = frame[order]
    assert table.user_ids.decode(users).tolist() == expected["user"].to_list()
    assert table.item_ids.decode(items).tolist() == expected["item"].to_list()
    assert values.tolist() == expected["rating"].to_list()
    assert table.given.tolist() == ratings()["rating"].to_list()


@pytest.mark.parametrize("keep_seen", [False, True])
def test_no_more_is_written_than_is_said(tmp_path, keep_seen):
    frame, noted, most = ratings().unique(["user", "item"]), [], []

    def on_write(*figures):
        noted.append(figures)
        most.append(room(tmp_path))

    model = fit_ratings(
        read_interactions(frame),
        TrainSettings(**with_defaults({"factors": 8, "epochs": 2})),
        RegroupSettings(user_groups=4),
        RunSettings(scratch=str(tmp_path), threads=2),
        keep_seen=keep_seen,
        on_write=on_write,
    )
    assert noted[-1][0] == noted[-1][1] == (76 + 4 * keep_seen) * len(frame)
    assert max(most) == (32 + 4 * keep_seen) * len(frame)
    gc.collect()
    assert room(tmp_path) == 4 * keep_seen * len(frame)
    assert (model.seen is None) != keep_seen


def test_items_that_users_have_rated_are_on_the_disk(tmp_path):
    models = [MatrixFactorization(**SMALL, scratch=s).fit(ratings()) for s in (None, tmp_path)]
    assert room(tmp_path) == 4 * len(ratings())
    lists = [model.recommend(["u1", "u7"], n=3).items.tolist() for model in models]
    assert lists[0] == lists[1]
    again = pickle.loads(pickle.dumps(models.pop()))
    gc.collect()
    assert room(tmp_path) == 0
    assert again.recommend(["u1", "u7"], n=3).items.tolist() == lists[0]


def test_wild_ratings_are_warned_of_by_their_row(tmp_path):
    frame = ratings().with_row_index()
    frame = frame.with_columns(rating=pl.when(pl.col("index") == 17).then(999).otherwise("rating"))
    with pytest.warns(RatingsWarning, match="the rating in row 17 "):
        MatrixFactorization(**SMALL | {"recipe": "tuned"}, scratch=tmp_path).fit(frame)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"backend": "cuda"}, "backend: 'cuda': a GPU trains on ratings in memory only"),
        ({"deterministic": False}, "deterministic: False: needs all ratings in memory"),
        ({"objective": "interactions"}, "objective: 'interactions': needs all ratings in memory"),
        ({"order": "group-blocks"}, "order: 'group-blocks': needs"),
        ({"method": "muppet"}, "method: 'muppet': needs"),
        ({"method": "afp"}, "method: 'afp': needs"),
        ({"pruning": {"method": "project", "factors": 4}}, "pruning: project: needs"),
    ],
)
def test_what_needs_memory_is_refused(tmp_path, settings, words):
    model = MatrixFactorization(**SMALL | settings, scratch=tmp_path / "scratch")
    with pytest.raises(SettingsError, match=words) as refused:
        model.fit(ratings())
    assert "set it otherwise, or scratch to null" in str(refused.value)
    assert not (tmp_path / "scratch").exists()


def test_columns_are_not_named_where_pieces_are_trained_on(tmp_path):
    found = RatingsInPieces(lambda: iter([ratings()]))
    model = MatrixFactorization(**SMALL, scratch=tmp_path)
    with pytest.raises(SettingsError, match=r"user: 'name': .* name them where they are opened"):
        model.fit(found, user="name")


def test_columns_may_have_any_names():
    frame = ratings().to_pandas()
    plain = MatrixFactorization(**SMALL).fit(frame)
    named = frame.rename(columns={"user": "users", "item": "parts"})
    other = MatrixFactorization(**SMALL).fit(named, user="users", item="parts")
    np.testing.assert_array_equal(other.user_factors_, plain.user_factors_)


def test_adding_ratings_is_refused(tmp_path):
    model = MatrixFactorization(**SMALL).fit(ratings())
    with pytest.raises(SettingsError, match=r"^scratch: partial_fit holds the new ratings"):
        model.set_params(scratch=tmp_path).partial_fit(ratings(seed=1))


@pytest.mark.parametrize("change", [lambda f: f.head(-1), lambda f: f.vstack(f.head(1)), "other"])
def test_a_source_that_changes_is_an_error(tmp_path, change):
    reads = []

    def pieces():
        reads.append(None)
        if len(reads) == 1:
            yield ratings()
        elif change == "other":
            yield ratings().with_columns(item=pl.col("item") + 1)
        else:
            yield change(ratings())

    settings = TrainSettings(factors=4, epochs=1), RegroupSettings()
    with pytest.raises(DataError, match="the ratings have changed while they were read"):
        fit_ratings(RatingsInPieces(pieces), *settings, RunSettings(scratch=str(tmp_path)))
