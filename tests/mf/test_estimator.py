"""``MatrixFactorization`` on small generated ratings."""

import inspect
import pickle
import signal
import subprocess
import sys
from functools import partial

import jax
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

import mascot_jax
from mascot_jax import MatrixFactorization
from mascot_jax.errors import (
    BaselineWarning,
    DataError,
    ModelFileError,
    NotFittedError,
    SettingsError,
    UnsavableIdsWarning,
)
from mascot_jax.mf import SeenRatingsWarning
from mascot_jax.settings import RegroupSettings, RunSettings, TrainSettings

USERS, ITEMS = 60, 40
SMALL = {"factors": 8, "epochs": 40, "learning_rate": 0.05, "threads": 1, "biases": False}


def make_frame(seed=0, count=1500):
    """Ratings of planted factors: numbers for users, names for items."""
    rng = np.random.default_rng(seed)
    p, q = rng.normal(0, 0.7, (USERS, 4)), rng.normal(0, 0.7, (ITEMS, 4))
    pairs = rng.permutation(USERS * ITEMS)[:count]
    users, items = np.divmod(pairs, ITEMS)
    stars = np.clip(np.rint(2 * (3 + (p[users] * q[items]).sum(axis=1))) / 2, 0.5, 5)
    return pd.DataFrame(
        {
            "user": users * 1000 - 7,
            "item": np.array([f"item {i}" for i in items], dtype=object),
            "rating": stars.astype(np.float32),
        }
    )


@pytest.fixture(scope="module")
def frame():
    return make_frame()


@pytest.fixture(scope="module")
def fitted(frame):
    return MatrixFactorization(**SMALL).fit(frame)


@pytest.fixture(scope="module")
def biased(frame):
    return MatrixFactorization(**SMALL | {"biases": True}).fit(frame)


def saved(estimator, path):
    return saved_path(estimator, path).read_bytes()


def saved_path(estimator, path):
    estimator.save(path)
    return path


def test_the_package_offers_it_without_importing_jax():
    code = (
        "import sys, mascot_jax; assert 'jax' not in sys.modules; "
        "assert 'MatrixFactorization' in dir(mascot_jax); mascot_jax.MatrixFactorization()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'Matrix'"):
        _ = mascot_jax.Matrix


def test_the_constructor_has_every_setting_and_stores_it_as_it_is():
    parameters = set(inspect.signature(MatrixFactorization).parameters)
    blocks = (TrainSettings, RegroupSettings, RunSettings)
    wanted = {"keep_seen", "distributed"}.union(*(block.model_fields for block in blocks))
    wanted -= {"comparators"}  # constants of methods to compare with: for studies
    assert parameters == wanted
    estimator = MatrixFactorization(epochs="many", method="no such method")
    assert estimator.get_params()["epochs"] == "many"
    with pytest.raises(SettingsError, match="method: 'no such method'"):
        estimator.fit(([1], [1], [1.0]))


def test_settings_can_be_changed_and_copied():
    estimator = MatrixFactorization(factors=3).set_params(epochs=2, seed=5)
    assert (estimator.epochs, estimator.seed) == (2, 5)
    assert MatrixFactorization(**estimator.get_params()).get_params() == estimator.get_params()
    assert repr(estimator).startswith("MatrixFactorization(method='fp16', recipe='tuned', fac")
    with pytest.raises(SettingsError, match="epoch: 3: unknown parameter: method, recipe"):
        estimator.set_params(epoch=3)


def test_without_a_fit_there_is_no_model():
    for name in ("model_", "history_", "user_ids_", "item_factors_"):
        with pytest.raises(NotFittedError, match="call fit, or MatrixFactorization"):
            getattr(MatrixFactorization(), name)
    with pytest.raises(NotFittedError):
        MatrixFactorization().predict(1, 1)
    assert not hasattr(MatrixFactorization(), "model_")
    with pytest.raises(AttributeError, match="no attribute 'models'"):
        _ = MatrixFactorization().models


def test_fit_learns(frame, fitted):
    assert -fitted.score(frame) < 0.5 * frame.rating.std()
    assert [record["epoch"] for record in fitted.history_] == list(range(40))
    assert fitted.history_[0]["learning_rate"] == pytest.approx(0.05)
    assert all(isinstance(value, int | float | None) for value in fitted.history_[3].values())
    np.testing.assert_array_equal(fitted.user_ids_, np.unique(frame.user))
    np.testing.assert_array_equal(fitted.item_ids_, np.unique(frame.item))


@pytest.mark.parametrize(
    "method",
    [
        {},
        {"method": "mascot", "rounding": None},
        {"method": "mascot-int8"},
        {"recipe": "paper", "decay": 0.1, "schedule": "power"},
    ],
)
def test_a_prediction_is_the_product_of_the_factors(frame, method):
    estimator = MatrixFactorization(**SMALL, **method).fit(frame)
    p, q = estimator.user_factors_, estimator.item_factors_
    assert (p.shape, q.shape, p.dtype) == ((USERS, 8), (ITEMS, 8), np.float32)
    predictions = estimator.predict(estimator.user_ids_[:, None], estimator.item_ids_[None, :])
    units, lift = estimator.model_.units, estimator.model_.lift
    assert (lift == 0) == units.plain == ("recipe" in method)
    expected = estimator.intercept_ + p @ q.T
    np.testing.assert_allclose(predictions, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "form",
    [
        lambda f: (f.user, f.item, f.rating),
        lambda f: [f.user.tolist(), f.item.tolist(), f.rating.tolist()],
        lambda f: pl.DataFrame(f.to_dict("list")).lazy(),
        lambda f: f.sample(frac=1, random_state=3).astype({"user": "int32", "rating": "float64"}),
    ],
    ids=["series", "lists", "polars", "shuffled"],
)
def test_the_form_and_the_order_of_the_ratings_do_not_matter(frame, fitted, form, tmp_path):
    again = MatrixFactorization(**SMALL | {"threads": 2}).fit(form(frame)).set_params(threads=1)
    assert again.model_.settings == fitted.model_.settings
    np.testing.assert_array_equal(again.user_factors_, fitted.user_factors_)
    np.testing.assert_array_equal(again.item_factors_, fitted.item_factors_)


def test_equal_fits_give_equal_files(frame, fitted, tmp_path):
    doubled = pd.concat([frame, frame[:300].assign(rating=1.0)])
    first = MatrixFactorization(**SMALL).fit(doubled)
    second = MatrixFactorization(**SMALL).fit(doubled[::-1])
    assert saved(first, tmp_path / "1") == saved(second, tmp_path / "2")
    assert saved(first, tmp_path / "1") != saved(fitted, tmp_path / "2")


def test_of_a_sparse_matrix_only_rows_with_ratings_are_kept():
    """Their numbers may be raw ids: memory must not follow from the highest."""
    users = np.array([0, 2, 2]) * 1_000_000_000
    entries = np.array([5.0, 0.0, 3.0]), (users, np.array([1, 1, 3]))
    estimator = MatrixFactorization(**SMALL).fit(sp.coo_array(entries, shape=(2**40, 2**40)))
    np.testing.assert_array_equal(estimator.user_ids_, [0, 2_000_000_000])
    np.testing.assert_array_equal(estimator.item_ids_, [1, 3])
    assert estimator.predict(1, 1) == pytest.approx(8 / 3)
    assert set(estimator.recommend(1, 4).items.tolist()) == {1, 3}


def test_predict_takes_one_and_many(fitted):
    user, item = fitted.user_ids_[3], fitted.item_ids_[5]
    one = fitted.predict(user, item)
    assert isinstance(one, float)
    assert fitted.predict([user, user], item).tolist() == [one, one]
    assert fitted.predict(pd.Series([user]), pl.Series([item])).tolist() == [one]
    assert fitted.predict([], []).shape == (0,)
    with pytest.raises(DataError, match="give equally many"):
        fitted.predict([user, user], [item, item, item])


def test_unknown_ids_get_the_mean(frame, fitted):
    mean = frame.rating.mean()
    assert fitted.predict(5, "item 3") == pytest.approx(mean)
    assert fitted.predict(-7, "no item") == pytest.approx(mean)
    found = fitted.predict([-7, 5], ["item 3", "item 3"])
    assert found[0] != pytest.approx(mean, abs=1e-4)
    assert found[1] == pytest.approx(mean)


def test_with_biases_unknown_ids_get_those_of_the_others(frame, biased):
    model, mean = biased.model_, frame.rating.mean()
    user_bias = model.units.scale * model.biases.users[model.users.row_of]
    item_bias = model.units.scale * model.biases.items[model.items.row_of]
    assert biased.predict(5, biased.item_ids_[2]) == pytest.approx(mean + item_bias[2])
    assert biased.predict(biased.user_ids_[2], "no item") == pytest.approx(mean + user_bias[2])
    assert biased.predict(5, "no item") == pytest.approx(mean)


def test_predictions_are_clipped_where_asked(frame, fitted):
    pairs = fitted.user_ids_[:, None], fitted.item_ids_[None, :]
    free, clipped = fitted.predict(*pairs), fitted.predict(*pairs, clip=True)
    low, high = frame.rating.min(), frame.rating.max()
    assert free.max() > high
    np.testing.assert_array_equal(clipped, free.clip(low, high))


def test_ids_of_another_kind_are_an_error(fitted):
    with pytest.raises(DataError, match="user: the ids are of kind string"):
        fitted.predict("-7", "item 3")
    with pytest.raises(DataError, match="item: the ids are of kind integer"):
        fitted.recommend(-7, candidates=[3])


@pytest.mark.parametrize("name", ["fitted", "biased"])
def test_recommendations_are_the_best_predictions_not_yet_seen(frame, name, request):
    estimator = request.getfixturevalue(name)
    users = [993, -7, 993 + 1000]
    found = estimator.recommend(users, 5)
    assert found.users.tolist() == [user for user in users for _ in range(5)]
    assert found.ranks.tolist() == [1, 2, 3, 4, 5] * 3
    for user in users:
        seen = set(frame.item[frame.user == user])
        rest = np.array([item for item in estimator.item_ids_ if item not in seen], dtype=object)
        scores = estimator.predict(user, rest)
        best = np.argsort(-scores, kind="stable")[:5]
        mine = found.users == user
        assert found.items[mine].tolist() == rest[best].tolist()
        np.testing.assert_allclose(found.scores[mine], scores[best], rtol=1e-4)
    table = pd.DataFrame(found._asdict())
    assert list(table.columns) == ["users", "items", "scores", "ranks"]


def test_recommendations_of_what_was_seen_and_of_candidates(frame, fitted):
    everything = fitted.recommend(-7, ITEMS, exclude_seen=False)
    assert sorted(everything.items) == sorted(fitted.item_ids_)
    seen = frame.item[frame.user == -7].tolist()
    assert len(fitted.recommend(-7, ITEMS).items) == ITEMS - len(seen)
    rest = fitted.recommend(-7, ITEMS).items[::-1].tolist()
    found = fitted.recommend(-7, 3, candidates=[*rest[:2], seen[0], "no item"])
    assert found.items.tolist() == rest[1::-1]
    assert fitted.recommend(-7, 3, candidates=["no item"]).items.tolist() == []


def test_unknown_users_get_the_items_with_the_most_ratings(frame, fitted):
    counts = frame.item.value_counts()
    found = fitted.recommend([12, -7, 13], 4)
    assert found.users.tolist() == [12] * 4 + [-7] * 4 + [13] * 4
    best = found.items[:4]
    np.testing.assert_array_equal(counts[best], counts.to_numpy()[:4])
    assert found.items[8:].tolist() == best.tolist()
    assert found.scores[0] == pytest.approx(frame.rating.mean())
    some = fitted.recommend(12, 4, candidates=best[:0:-1].tolist())
    assert some.items.tolist() == best[1:].tolist()


def test_a_model_that_kept_nothing_says_so(frame):
    estimator = MatrixFactorization(**SMALL, keep_seen=False).fit(frame)
    with pytest.raises(DataError, match="keep_seen=True, or recommend with exclude_seen=False"):
        estimator.recommend(-7)
    assert len(estimator.recommend(-7, exclude_seen=False).items) == 10


@pytest.mark.parametrize("options", [{}, {"damping": 0}, {"damping": 3.5}])
@pytest.mark.parametrize("side", ["user", "item"])
def test_similar_rows_have_the_largest_damped_cosines(frame, fitted, side, options):
    factors = getattr(fitted, f"{side}_factors_")
    ids = getattr(fitted, f"{side}_ids_")
    unit = factors / np.linalg.norm(factors, axis=1, keepdims=True)
    unknown = "nothing" if side == "item" else 1
    counts = frame[side].value_counts().reindex(ids).to_numpy()
    find = partial(getattr(fitted, f"similar_{side}s"), **options)
    found = find([ids[4], unknown, ids[2]], 3)
    assert found.ids.tolist() == [ids[4]] * 3 + [ids[2]] * 3
    for index in (4, 2):
        cosines = unit @ unit[index] * counts / (counts + options.get("damping", 10))
        cosines[index] = -np.inf
        best = np.argsort(-cosines, kind="stable")[:3]
        mine = found.ids == ids[index]
        assert found.neighbours[mine].tolist() == ids[best].tolist()
        np.testing.assert_allclose(found.scores[mine], cosines[best], rtol=1e-4)
    assert find(ids[4], 1).neighbours.tolist() == [found.neighbours[0]]


@pytest.mark.parametrize("name", ["fitted", "biased"])
def test_a_folded_in_user_minimises_what_training_does(frame, name, request):
    estimator = request.getfixturevalue(name)
    theirs = frame[frame.user == -7]
    folded = estimator.fold_in_user([*theirs.item, "no item"], [*theirs.rating, 5.0])
    index = np.searchsorted(estimator.item_ids_, theirs.item.to_numpy())
    model = estimator.model_
    centre, scale = model.units
    q = estimator.item_factors_[index].astype(np.float64)
    r = (theirs.rating.to_numpy() - centre) / scale
    offset = np.full(len(r), -model.lift)
    if name == "biased":
        bias = model.biases.items[model.items.row_of][index]
        bias = bias + (r - bias).sum() / (len(r) + model.damping.users)
        offset += model.bias_share * bias
    ridge = model.settings.user_reg * len(r) * np.eye(8)
    np.testing.assert_allclose(
        folded.factors, np.linalg.solve(q.T @ q + ridge, q.T @ (r - offset)), rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(
        folded.predict(theirs.item),
        centre + scale * (q @ folded.factors + offset),
        rtol=1e-3,
        atol=1e-3,
    )
    assert isinstance(folded.predict("item 3"), float)
    found = folded.recommend(5)
    assert found.users.tolist() == [0] * 5
    assert not set(found.items) & set(theirs.item)
    np.testing.assert_allclose(found.scores, folded.predict(found.items), rtol=1e-4)


def test_many_are_folded_in_as_one_by_one(frame, biased):
    theirs = frame[frame.user.isin([-7, 993])]
    names = np.where(theirs.user == -7, "b", "a").tolist()
    many = biased.fold_in_user([*theirs.item, "no item"], [*theirs.rating, 1.0], [*names, "c"])
    assert many.ids.tolist() == ["a", "b", "c"]
    assert many.factors.shape == (3, 8)
    predictions, recommended = many.predict(["item 3", "no item"]), many.recommend(2)
    assert predictions.shape == (3, 2)
    for row, user in enumerate([993, -7]):
        own = theirs[theirs.user == user]
        one = biased.fold_in_user(own.item, own.rating)
        np.testing.assert_allclose(many.factors[row], one.factors, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(predictions[row], one.predict(["item 3", "no item"]), rtol=1e-3)
        mine = recommended.users == many.ids[row]
        assert recommended.items[mine].tolist() == one.recommend(2).items.tolist()
    unknown = biased.recommend(12, 2)
    assert recommended.items[4:].tolist() == unknown.items.tolist()
    np.testing.assert_allclose(predictions[2], biased.predict(12, ["item 3", "no item"]))


def test_items_are_folded_in_alike(frame, fitted):
    theirs = frame[frame.item == "item 3"]
    folded = fitted.fold_in_item(theirs.user, theirs.rating)
    index = np.searchsorted(fitted.user_ids_, theirs.user)
    p = fitted.model_.dense_users()[index].astype(np.float64)
    centre, scale = fitted.model_.units
    r = (theirs.rating.to_numpy() - centre) / scale + fitted.model_.lift
    ridge = fitted.model_.settings.item_reg * len(r) * np.eye(8)
    np.testing.assert_allclose(
        folded.factors, np.linalg.solve(p.T @ p + ridge, p.T @ r), rtol=1e-3, atol=1e-4
    )
    found = folded.recommend(3)
    assert not set(found.users) & set(theirs.user)
    assert found.items.tolist() == [0, 0, 0]
    np.testing.assert_allclose(found.scores, folded.predict(found.users), rtol=1e-4)


def test_folding_in_needs_a_rating_for_each(fitted):
    with pytest.raises(DataError, match="2 items and 1 ratings: give one rating for each"):
        fitted.fold_in_user(["item 3", "item 4"], [1.0])
    with pytest.raises(DataError, match="there are 1 users for 2 ratings"):
        fitted.fold_in_user(["item 3", "item 4"], [1.0, 2.0], ["me"])


def test_a_loaded_model_is_the_fitted_one(frame, biased, tmp_path):
    biased.save(tmp_path / "model.safetensors")
    loaded = MatrixFactorization.load(tmp_path / "model.safetensors")
    assert loaded.score(frame) == biased.score(frame)
    assert loaded.history_ == []
    for one, other in zip(loaded.recommend([-7, 5]), biased.recommend([-7, 5]), strict=True):
        np.testing.assert_array_equal(one, other)
    assert loaded.get_params()["factors"] == 8
    refitted = MatrixFactorization(**loaded.get_params()).fit(frame)
    assert saved(refitted, tmp_path / "again") == (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "again").write_bytes(b"nothing")
    with pytest.raises(ModelFileError):
        MatrixFactorization.load(tmp_path / "again")


def test_estimators_can_be_pickled(frame, fitted):
    fitted.predict(-7, "item 3")  # which leaves arrays on the device
    copy = pickle.loads(pickle.dumps(fitted))
    assert copy.score(frame) == fitted.score(frame)


def test_objects_are_ids_but_cannot_be_saved(frame, tmp_path):
    names = {user: (int(user), "x") for user in frame.user.unique()}
    renamed = frame.assign(user=frame.user.map(names))
    with pytest.warns(
        UnsavableIdsWarning, match=r"user: ids such as \(.*can be used, but not saved"
    ):
        estimator = MatrixFactorization(**SMALL).fit(renamed)
    assert estimator.recommend(names[-7], 1).users.tolist() == [names[-7]]
    with pytest.raises(DataError, match="can be used, but not saved"):
        estimator.save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_callbacks_see_every_epoch_and_can_stop(frame):
    seen, others = [], []
    estimator = MatrixFactorization(**SMALL).fit(
        frame, callbacks=[lambda r: seen.append(r) or len(seen) == 3, others.append]
    )
    assert [r["epoch"] for r in seen] == [0, 1, 2]
    assert seen == others == estimator.history_
    assert estimator.model_.epochs_trained == 3


def test_validation_is_recorded(frame):
    estimator = MatrixFactorization(**SMALL, validation=0.2, patience=2).fit(frame)
    assert all(record["validation_rmse"] > 0 for record in estimator.history_)
    # What was held out has been seen, too.
    assert len(estimator.model_.seen.items) == len(frame)


def test_evaluate_has_both_errors(frame, fitted):
    new = pd.concat([frame[:20], frame[:1].assign(user=1)])
    errors = fitted.predict(new.user, new.item) - new.rating
    with pytest.warns(SeenRatingsWarning, match="20 of 21 ratings are of pairs that the model was"):
        found = fitted.evaluate(new)
    assert found["rmse"] == pytest.approx(np.sqrt((errors**2).mean()))
    assert found["mae"] == pytest.approx(errors.abs().mean())
    assert (found["ratings"], found["seen"]) == (21, 20)
    assert fitted.score(new) == -found["rmse"]
    errors = fitted.predict(frame.user, frame.item, clip=True) - frame.rating
    clipped = -fitted.score(frame, clip=True)
    assert clipped == pytest.approx(np.sqrt((errors**2).mean()))
    assert clipped < -fitted.score(frame)
    with pytest.warns(SeenRatingsWarning):
        assert fitted.evaluate(frame, clip=True)["rmse"] == clipped


@pytest.mark.parametrize("method", [{}, {"method": "mascot-int8"}])
@pytest.mark.parametrize("biases", [False, True])
def test_partial_fit_keeps_what_it_knew(frame, method, biases):
    settings = SMALL | method | {"biases": biases}
    estimator = MatrixFactorization(**settings).fit(frame)
    before, p = estimator.model_, estimator.user_factors_
    new = pd.DataFrame(
        {"user": [-7, 5, 5, 5], "item": ["item 3", "a new one", "item 4", "item 5"], "rating": 4.0}
    )
    old = estimator.predict(993, "item 30")
    estimator.set_params(epochs=10, learning_rate=0.02).partial_fit(new)
    assert len(estimator.user_ids_) == USERS + 1
    assert "a new one" in estimator.item_ids_
    same = np.isin(estimator.user_ids_, [-7, 5], invert=True)
    np.testing.assert_allclose(estimator.user_factors_[same], p[1:], rtol=0.02, atol=1e-3)
    assert estimator.predict(993, "item 30") == pytest.approx(old, rel=0.05)
    assert -estimator.score(new) < 2
    assert estimator.predict(5, "item 4") != pytest.approx(estimator.model_.mean_rating)
    seen = {*frame.item[frame.user == -7], "item 3"}
    assert not seen & set(estimator.recommend(-7, ITEMS).items)
    counts = estimator.model_.users.rating_counts
    assert counts.sum() == len(frame) + 4
    assert estimator.model_.mean_rating == before.mean_rating


@pytest.mark.parametrize(
    "settings", [{"recipe": "tuned"}, {"recipe": "paper"}, {"recipe": "paper", "biases": True}]
)
def test_ratings_of_others_change_no_prediction(frame, settings):
    """As many ratings of new users and items, all of them high."""
    estimator = MatrixFactorization(**SMALL | settings).fit(frame)
    new = frame.assign(user=frame.user + 10**6, item=frame.item + " of others", rating=5.0)

    def known():
        with pytest.warns(SeenRatingsWarning):
            baseline = estimator.evaluate(frame)["rmse_of_biases"]
        return estimator.predict(frame.user, frame.item), baseline

    predicted, baseline = known()
    mean = estimator.mean_rating_
    estimator.partial_fit(new)
    np.testing.assert_array_equal(known()[0], predicted)
    assert known()[1] == pytest.approx(baseline, rel=1e-5)
    moves = not estimator.model_.lift and estimator.model_.biases is None
    expected = pd.concat([frame, new]).rating.mean() if moves else mean
    assert estimator.mean_rating_ == pytest.approx(expected)


def test_a_pruned_model_is_used_and_trained_further_as_it_is(frame, tmp_path):
    """With its own width; the settings stay those that were asked for."""
    pruning = {"method": "project", "factors": 5}
    estimator = MatrixFactorization(**SMALL, pruning=pruning).fit(frame)
    assert estimator.user_factors_.shape[1] == estimator.item_factors_.shape[1] == 5
    assert -estimator.score(frame) < 0.5 * frame.rating.std()
    assert len(estimator.recommend(-7, 5).items) == 5
    again = MatrixFactorization.load(saved_path(estimator, tmp_path / "model"))
    assert (again.factors, again.pruning["factors"], again.pruning["epoch"]) == (8, 5, None)
    np.testing.assert_array_equal(again.user_factors_, estimator.user_factors_)
    new = pd.DataFrame({"user": [5, 5], "item": ["item 4", "item 5"], "rating": 4.0})
    again.set_params(epochs=2).partial_fit(new)
    assert again.user_factors_.shape[1] == 5
    assert again.model_.settings.pruning is None
    assert again.get_params()["pruning"] == pruning | {"rate": None, "epoch": None}
    with pytest.raises(SettingsError, match="factors: 8: the model to start from has 5"):
        MatrixFactorization(**SMALL).fit(frame, init=again)
    wide = MatrixFactorization(**SMALL).fit(frame)
    narrow = MatrixFactorization(**SMALL, pruning=pruning).fit(frame, init=wide)
    assert narrow.user_factors_.shape[1] == 5


def test_rotations_are_kept_and_have_the_same_bits_for_every_number_of_threads(frame, tmp_path):
    one, two = (
        MatrixFactorization(**SMALL | {"rotations": 2, "threads": threads}).fit(frame)
        for threads in (1, 2)
    )
    again = MatrixFactorization.load(saved_path(one, tmp_path / "model"))
    np.testing.assert_array_equal(again.user_factors_, two.user_factors_)
    assert again.rotations == 2
    plain = MatrixFactorization(**SMALL).fit(frame)
    assert (plain.user_factors_ != one.user_factors_).any()
    assert b"rotations" not in saved_path(plain, tmp_path / "plain").read_bytes()
    assert -one.score(frame) < 0.5 * frame.rating.std()


def test_interactions_go_on_with_fewer_factors():
    """The same bits for every number of threads."""
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 60, 900), (rng.integers(0, 40, 900) * rng.random(900)).astype(int)
    settings = {"objective": "interactions", "factors": 16, "epochs": 4}
    pruning = {"method": "project", "factors": 6}
    models = [
        MatrixFactorization(**settings, threads=threads, pruning=pruning).fit(pairs)
        for threads in (1, 3)
    ]
    assert models[0].user_factors_.shape[1] == 6
    np.testing.assert_array_equal(models[0].user_factors_, models[1].user_factors_)
    assert len(models[0].recommend(3, 5).items) == 5


def test_a_model_whose_updates_ended_early_tells_both_errors(frame):
    pruning = {"method": "early-exit", "rate": 0.1}
    estimator = MatrixFactorization(**SMALL | {"biases": None}, pruning=pruning).fit(frame)
    with pytest.warns(BaselineWarning), pytest.warns(SeenRatingsWarning):
        found = estimator.evaluate(frame)
    assert found["rmse"] == pytest.approx(-estimator.score(frame))
    assert found["rmse_pruned"] != pytest.approx(found["rmse"])
    assert 0 < found["visited"] < 1
    thresholds = estimator.model_.thresholds
    p, q = estimator.model_.dense_users(), estimator.model_.dense_items()
    model, users = estimator.model_, np.searchsorted(estimator.user_ids_, frame.user)
    items = np.searchsorted(estimator.item_ids_, frame.item)
    x, y = p[users], q[items]
    ends = (np.abs(x) < np.float32(thresholds[0])) | (np.abs(y) < np.float32(thresholds[1]))
    seen = ~np.logical_or.accumulate(ends, axis=1)
    assert found["visited"] == pytest.approx(seen.mean())
    dots = (x * y * seen).sum(axis=1)
    rows = model.users.row_of[users], model.items.row_of[items]
    errors = model.cold_rule.complete(dots.astype(np.float32), *rows) - frame.rating
    assert found["rmse_pruned"] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-5)


def test_partial_fit_of_nothing_is_fit(frame, fitted, tmp_path):
    estimator = MatrixFactorization(**SMALL).partial_fit(frame)
    assert saved(estimator, tmp_path / "1") == saved(fitted, tmp_path / "2")


def test_fit_can_start_from_a_model(frame, fitted):
    part = frame[frame.user > 10_000]
    settings = SMALL | {"epochs": 1, "learning_rate": 1e-4}
    warm = MatrixFactorization(**settings).fit(part, init=fitted)
    assert warm.user_ids_.min() > 10_000
    assert -warm.score(part) == pytest.approx(-fitted.score(part), rel=0.01)
    assert MatrixFactorization(**settings).fit(part).score(part) < 2 * warm.score(part)
    again = MatrixFactorization(**settings).fit(part, init=fitted.model_)
    np.testing.assert_array_equal(again.user_factors_, warm.user_factors_)
    with pytest.raises(SettingsError, match="factors: 4: the model to start from has 8"):
        MatrixFactorization(factors=4).fit(frame, init=fitted)
    with pytest.raises(SettingsError, match="biases: True"):
        MatrixFactorization(factors=8, biases=True).partial_fit(frame).fit(frame, init=fitted)


def test_promoted_groups_stay_promoted(frame):
    settings = SMALL | {"method": "mascot", "rounding": None, "threshold": 8.0, "sample_ratio": 1.0}
    estimator = MatrixFactorization(**settings, user_groups=5, item_groups=5).fit(frame)
    assert len(estimator.model_.users.table.stored) == 2
    p = estimator.user_factors_
    estimator.set_params(epochs=1, learning_rate=1e-30, user_reg=0.0, item_reg=0.0)
    estimator.fit(frame, init=estimator)
    np.testing.assert_array_equal(estimator.user_factors_, p)


def test_what_cannot_be_fitted_leaves_the_model(frame, fitted, tmp_path):
    before = saved(fitted, tmp_path / "1")
    with pytest.raises(DataError, match=r"row 1 \(counted from 0\) is missing"):
        fitted.fit(([1, None], [1, 2], [1.0, 2.0]))
    assert saved(fitted, tmp_path / "1") == before


def test_it_runs_under_any_default_device(frame, fitted):
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        assert fitted.score(frame) == MatrixFactorization(**SMALL).fit(frame).score(frame)


def test_a_fit_goes_on_from_its_checkpoint_to_the_same_bytes(frame, fitted, tmp_path):
    stopped = MatrixFactorization(**SMALL, checkpoint_every=3)
    checkpoint = tmp_path / "checkpoint"

    def give_up(record):
        if record["epoch"] == 7:
            raise RuntimeError("the lights went out")

    with pytest.raises(RuntimeError, match="lights"):
        stopped.fit(frame, callbacks=[give_up], checkpoint=checkpoint)
    resumed = MatrixFactorization(**SMALL).fit(frame, checkpoint=checkpoint, resume=True)
    assert resumed.history_[0]["epoch"] == 6
    assert saved(resumed, tmp_path / "resumed") == saved(fitted, tmp_path / "fitted")


def test_ctrl_c_ends_a_fit_after_the_epoch_and_leaves_its_model(frame):
    estimator = MatrixFactorization(**SMALL)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(
            frame, callbacks=[lambda r: r["epoch"] == 2 and signal.raise_signal(signal.SIGINT)]
        )
    assert estimator.model_.epochs_trained == 3
    assert len(estimator.predict([-7], ["item 0"])) == 1


def test_one_id_comes_back_in_its_own_type(fitted):
    assert fitted.recommend(-7, 2).users.dtype == np.int64


def test_what_was_loaded_follows_its_settings(frame, tmp_path):
    MatrixFactorization(**SMALL).fit(frame).save(tmp_path / "model")
    loaded = MatrixFactorization.load(tmp_path / "model")
    asked = MatrixFactorization(**SMALL | {"threads": None})  # how it ran is no part of it
    assert loaded.get_params() == asked.get_params()
    loaded.set_params(method="int8", epochs=2).fit(frame, checkpoint=tmp_path / "checkpoint")
    assert list(loaded.model_.users.table.stored) == ["int8-32"]
    assert (tmp_path / "checkpoint").is_file()
    loaded.set_params(method="mascot", recipe="paper", epochs=None)
    settings = loaded._settings()[0].plan()
    assert (settings.rounding, settings.threshold, settings.epochs) == ("nearest", 20, 50)


def test_errors_name_arguments(frame):
    with pytest.raises(SettingsError, match=r"^decay: 0.1: has no effect where schedule is linear"):
        MatrixFactorization(schedule="linear", decay=0.1).fit(frame)
    message = "^backend: 'cuda': cuda has no deterministic: set backend to cpu or auto"
    with pytest.raises(SettingsError, match=message):
        MatrixFactorization(backend="cuda", deterministic=True).fit(frame)


@pytest.mark.parametrize("ids", [[[-7, 993], [1993, -7]], [[-7], [993]]])
def test_ids_in_any_shape_are_asked_about_one_by_one(fitted, ids):
    flat = np.ravel(ids).tolist()
    for ask in (fitted.recommend, fitted.similar_users):
        for found, expected in zip(ask(np.array(ids), 3), ask(flat, 3), strict=True):
            assert found.tolist() == expected.tolist()


def test_ids_of_a_list_come_back_as_integers(fitted):
    assert fitted.recommend([-7, 993], 2).users.dtype == np.int64


@pytest.mark.parametrize("n", [0, -1, 2.0, "3", True, None])
def test_a_wrong_number_of_items_is_refused(fitted, n):
    for ask in (
        lambda: fitted.recommend(-7, n),
        lambda: fitted.recommend(10**6, n),  # whom nobody knows
        lambda: fitted.similar_users(-7, n),
        lambda: fitted.fold_in_user(["item 0"], [4]).recommend(n),
    ):
        with pytest.raises(SettingsError, match="it must be an integer, at least 1"):
            ask()


def test_what_does_not_fit_together_is_refused(fitted, frame):
    with pytest.raises(DataError, match=r"users have the shape \(2,\), items \(3,\)"):
        fitted.predict([-7, 993], ["item 0", "item 1", "item 2"])
    with pytest.raises(DataError, match="init: 'model': must be a model"):
        MatrixFactorization(**SMALL).fit(frame, init="model")
    with pytest.raises(DataError, match=r"row 1 .* is inf: must be finite"):
        fitted.fit(([1, 2], [1, 2], [3, 10**5000]))


def test_lists_are_evaluated_beside_predictions(frame, fitted):
    unseen = frame[frame.user == -7].assign(item="item 0", user=10**6)
    found = fitted.evaluate(unseen, top_n=5)
    assert {"rmse", "mae", "ratings", "precision", "recall", "ndcg"} <= set(found)
    assert fitted.evaluate(unseen)["rmse"] == found["rmse"]
    most_rated = fitted.recommend(10**6, 5).items
    assert found["hit_rate"] == float("item 0" in most_rated)
    with pytest.raises(DataError, match="relevant: 9: none of the ratings is so high"):
        fitted.evaluate(frame, top_n=5, relevant=9)
