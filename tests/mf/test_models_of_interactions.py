"""``MatrixFactorization(objective="interactions")`` on small planted interactions."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

from mascot_jax import MatrixFactorization
from mascot_jax.errors import DataError, ModelFileError, RatingsWarning, SettingsError
from mascot_jax.mf.fold_in_interactions import balances, expected_negatives
from mascot_jax.mf.model_file import load_model, model_facts
from mascot_jax.training.interactions import LARGEST_WEIGHT, balance, confidences, limited, merged
from tests.support.interactions import ITEMS, KINDS, planted, same_kind, split

FOLDED_NEAR = 0.05
QUICK = {
    "objective": "interactions",
    "factors": 8,
    "threads": 1,
    "user_groups": 5,
    "item_groups": 5,
}


@pytest.fixture(scope="module")
def pairs():
    return split(planted())


@pytest.fixture(scope="module")
def fitted(pairs):
    return MatrixFactorization(**QUICK).fit(tuple(pairs[0].T))


@pytest.fixture(scope="module")
def logistic(pairs):
    return MatrixFactorization(**QUICK, loss="logistic").fit(tuple(pairs[0].T))


def saved(model, path):
    model.save(path)
    return path.read_bytes()


@pytest.mark.parametrize("name", ["fitted", "logistic"])
def test_lists_have_what_users_like_and_have_not_met(name, pairs, request):
    model = request.getfixturevalue(name)
    lists = model.recommend(np.arange(20), 5)
    assert same_kind(lists.users, lists.items) > 0.85
    met = set(map(tuple, pairs[0].tolist()))
    assert not met & set(zip(lists.users.tolist(), lists.items.tolist(), strict=True))
    assert same_kind(*model.similar_items(np.arange(20), 3)[:2]) > 0.9
    figures = model.evaluate(tuple(pairs[1].T))
    assert figures["ndcg"] > 0.35  # of a kind, there are ten items left for every three held out
    assert model.score(tuple(pairs[1].T)) == figures["ndcg"]
    assert "rmse" not in figures
    assert (figures["ratings"], figures["seen"]) == (len(pairs[1]), 0)
    assert model.evaluate(tuple(pairs[1].T), top_n=5)["precision"] != figures["precision"]


def test_every_container_of_interactions_gives_the_same_model(tmp_path, pairs):
    users, items = pairs[0].T
    ones = np.ones(len(users), np.float32)
    frame = pd.DataFrame({"user": users, "item": items})
    containers = [
        (users, items),
        (users, items, ones),
        pairs[0],
        frame,
        pl.from_pandas(frame).lazy(),
        frame.assign(rating=1.0),
        sp.coo_array((ones, (users, items))),
    ]
    first = None
    for container in containers:
        model = MatrixFactorization(**QUICK, epochs=2).fit(container)
        first = first or saved(model, tmp_path / "first")
        assert saved(model, tmp_path / "other") == first


def test_values_of_a_pair_are_added_up(tmp_path, pairs):
    users, items = pairs[0].T
    plays = np.random.default_rng(0).integers(1, 4, len(users))
    log = np.repeat(pairs[0], plays, axis=0)
    by_log = MatrixFactorization(**QUICK, epochs=2).fit(tuple(log.T))
    by_count = MatrixFactorization(**QUICK, epochs=2).fit((users, items, plays))
    assert saved(by_log, tmp_path / "log") == saved(by_count, tmp_path / "count")
    equal = MatrixFactorization(**QUICK, epochs=2, confidence="equal")
    once = MatrixFactorization(**QUICK, epochs=2, confidence="equal")
    different = saved(equal.fit(tuple(log.T)), tmp_path / "log")
    assert different == saved(once.fit((users, items)), tmp_path / "count")
    assert different != saved(by_log, tmp_path / "log")


def test_confidences_are_in_units_of_their_mean():
    values = np.array([1, 3, 8], np.float32)
    found, mean = confidences(values, "values")
    np.testing.assert_allclose(found, [0.25, 0.75, 2])
    assert mean == 4
    np.testing.assert_allclose(confidences(values, "values", 8.0)[0], values / 8)
    found, mean = confidences(values, "log1p")
    np.testing.assert_allclose(found, np.log1p(values) / np.log1p(values).mean(), rtol=1e-6)
    np.testing.assert_array_equal(confidences(values, "equal")[0], [1, 1, 1])
    assert limited(np.array([0.5, 99.0])).tolist() == [0.5, LARGEST_WEIGHT]


@pytest.mark.parametrize(("side", "power"), [("users", -3 / 8), ("items", -1 / 8)])
def test_busy_rows_count_less_each_and_1_on_average(side, power):
    counts = np.array([256, 16, 1, 0])
    found = balance(counts, side)
    assert counts @ found == pytest.approx(counts.sum())
    np.testing.assert_allclose(found[:3] / found[2], [256.0**power, 16.0**power, 1])


def test_pairs_are_merged_in_any_order():
    users, items = np.array([[1, 0, 1, 1], [5, 2, 5, 4]], dtype=np.uint32)
    values = np.array([1, 2, 4, 8], np.float32)
    assert [x.tolist() for x in merged((users, items, values))] == [[0, 1, 1], [2, 4, 5], [2, 8, 5]]


def test_what_is_no_confidence_is_refused(pairs):
    users, items = pairs[0].T
    values = np.ones(len(users))
    values[7] = -2
    model = MatrixFactorization(**QUICK)
    with pytest.raises(DataError, match=r"value -2 \(1 are below 0\).*objective ratings"):
        model.fit((users, items, values))
    with pytest.raises(DataError, match=r"values of all interactions are 0.*confidence to equal"):
        model.fit((users, items, 0 * values))
    model.set_params(confidence="equal", epochs=1).fit((users, items, 0 * values))


def test_two_columns_are_no_ratings(pairs):
    with pytest.raises(DataError, match="must hold three arrays"):
        MatrixFactorization(factors=2).fit(tuple(pairs[0].T))
    frame = pd.DataFrame(pairs[0], columns=["user", "item"])
    with pytest.raises(DataError, match="no column 'plays'"):
        MatrixFactorization(**QUICK).fit(frame, rating="plays")


@pytest.mark.parametrize("name", ["fitted", "logistic"])
def test_a_new_user_gets_the_factors_of_a_trained_one(name, pairs, request):
    model = request.getfixturevalue(name)
    train = pairs[0]
    agreement = []
    for user in range(8):
        items = train[train[:, 0] == user, 1]
        folded = model.fold_in_user(items)
        own = model.user_factors_[user]
        agreement.append(
            folded.factors @ own / np.linalg.norm(folded.factors) / np.linalg.norm(own)
        )
        assert same_kind(np.full(5, user), folded.recommend(5).items) > 0.7
    assert np.mean(agreement) > 0.97


@pytest.mark.parametrize("side", ["users", "items"])
def test_rows_that_were_trained_on_are_folded_in_where_they_are(side, pairs):
    # Steps fall to zero, so that training ends near the minimum that folding solves for.
    model = MatrixFactorization(**QUICK | {"epochs": 200}).fit(tuple(pairs[0].T))
    own, other = pairs[0].T if side == "users" else pairs[0].T[::-1]
    solve = model.fold_in_user if side == "users" else model.fold_in_item
    trained = model.user_factors_ if side == "users" else model.item_factors_
    folded = solve(other, None, own).factors
    gaps = np.linalg.norm(folded - trained, axis=1) / np.linalg.norm(trained, axis=1)
    assert np.mean(gaps) < FOLDED_NEAR


@pytest.mark.parametrize("side", ["users", "items"])
def test_who_else_is_folded_in_does_not_matter(side, fitted):
    solve = fitted.fold_in_user if side == "users" else fitted.fold_in_item
    alone = solve([1, 2, 3, 4]).factors
    others = np.arange(100, 900)
    rows = np.append(np.zeros(4, int), others)
    together = solve(np.append([1, 2, 3, 4], others % 20), None, rows).factors[0]
    np.testing.assert_allclose(together, alone, rtol=1e-5)


@pytest.mark.parametrize("name", ["fitted", "logistic"])
@pytest.mark.parametrize("side", ["users", "items"])
def test_folded_factors_are_where_the_expected_loss_is_lowest(name, side, request):
    model = request.getfixturevalue(name)
    met = np.arange(2, 40, KINDS)
    solve = model.fold_in_user if side == "users" else model.fold_in_item
    row = solve(met, np.linspace(0.5, 2, len(met))).factors.astype(np.float64)
    other = "items" if side == "users" else "users"
    fixed = getattr(model.model_, other).dense().astype(np.float64)
    counts = np.array([len(met)])
    own, others = balances(model.model_, side, counts)
    weights = np.zeros(len(fixed))
    weights[met] = np.linspace(0.5, 2, len(met)) * own[0] * others[met]
    expected = expected_negatives(
        model.model_, side, np.array([0, len(met)]), met.astype(np.uint32)
    )
    negatives = expected.of_row[0] * expected.of_other
    negatives[met] = 0
    visits = len(met) + negatives.sum()
    settings = model.model_.settings
    reg = (settings.user_reg if side == "users" else settings.item_reg) * visits

    def slope(row):
        scores = fixed @ row
        if settings.loss == "logistic":
            scores = 1 / (1 + np.exp(-scores))
        return fixed.T @ (weights * (1 - scores) - negatives * scores) - reg * row

    scale = np.linalg.norm(slope(np.zeros(len(row))))
    assert np.linalg.norm(slope(row)) < 1e-4 * scale


def test_repeated_items_of_a_new_user_are_added_up(fitted):
    twice = fitted.fold_in_user([3, 7, 3], [1, 1, 1])
    np.testing.assert_array_equal(twice.factors, fitted.fold_in_user([7, 3], [1, 2]).factors)
    with pytest.raises(DataError, match="value -1"):
        fitted.fold_in_user([3], [-1])
    unknown = fitted.fold_in_user([10_000])
    assert (unknown.factors == 0).all()


def test_the_file_holds_it_all(tmp_path, fitted, pairs):
    path = tmp_path / "model.safetensors"
    fitted.save(path)
    assert model_facts(path)["format_version"] == 6
    loaded = MatrixFactorization.load(path)
    assert loaded.objective == "interactions"
    assert (loaded.negatives, loaded.learning_rate, loaded.loss) == (None, None, None)
    assert saved(loaded, tmp_path / "again") == path.read_bytes()
    np.testing.assert_array_equal(
        loaded.fold_in_user([1, 2]).factors, fitted.fold_in_user([1, 2]).factors
    )
    again = MatrixFactorization(**loaded.get_params() | QUICK).fit(tuple(pairs[0].T))
    assert saved(again, tmp_path / "again") == path.read_bytes()


def test_a_confidence_of_nothing_is_no_model(tmp_path, fitted):
    path = tmp_path / "model.safetensors"
    fitted.save(path)
    data = path.read_bytes()
    assert load_model(path).confidence == 1.0
    path.write_bytes(data.replace(b'\\"confidence\\": 1.0', b'\\"confidence\\": 0.0'))
    with pytest.raises(ModelFileError):
        load_model(path)


def test_models_of_ratings_keep_their_version(tmp_path):
    rng = np.random.default_rng(0)
    ratings = rng.integers(0, 9, 60), rng.integers(0, 9, 60), rng.integers(1, 6, 60)
    path = tmp_path / "model.safetensors"
    MatrixFactorization(factors=2, epochs=1, threads=1).fit(ratings).save(path)
    facts = model_facts(path)
    assert facts["format_version"] == 5
    assert "objective" not in facts["settings"]


def test_validation_scores_lists_and_ends_a_training(pairs):
    model = MatrixFactorization(**QUICK, validation=0.2, patience=2, epochs=300)
    model.fit(tuple(planted().T))
    scores = [record["validation_ndcg"] for record in model.history_]
    assert scores[-1] > 0.3
    assert all(record["validation_rmse"] is None for record in model.history_)
    assert len(scores) < 300
    assert model.model_.epochs_trained == 1 + int(np.argmax(scores)) == len(scores) - 2


def test_a_resumed_training_ends_in_the_same_bytes(tmp_path, pairs):
    settings = QUICK | {"epochs": 6, "checkpoint_every": 2, "validation": 0.1, "method": "mascot"}
    whole = MatrixFactorization(**settings).fit(tuple(pairs[0].T))
    path = tmp_path / "checkpoint"
    stop = lambda record: record["epoch"] == 2  # noqa: E731
    MatrixFactorization(**settings).fit(tuple(pairs[0].T), callbacks=[stop], checkpoint=path)
    rest = MatrixFactorization(**settings).fit(tuple(pairs[0].T), checkpoint=path, resume=True)
    assert rest.history_[0]["epoch"] == 3
    assert saved(rest, tmp_path / "rest") == saved(whole, tmp_path / "whole")


def test_further_interactions_teach_new_users_and_items(pairs, fitted):
    new = 10_000 + np.arange(8)
    rng = np.random.default_rng(3)
    further = [(user, item) for user in new for item in rng.permutation(ITEMS)[:40]]
    further = np.array([pair for pair in further if same_kind(*pair) == 1])
    before = fitted.item_factors_
    model = MatrixFactorization.from_model(fitted.model_).set_params(epochs=8, threads=1)
    model.partial_fit(tuple(further.T))
    lists = model.recommend(new, 5)
    assert same_kind(lists.users, lists.items) > 0.8
    moved = np.abs(model.item_factors_ - before).max()
    assert 0 < moved < 0.5
    assert model.model_.confidence == fitted.model_.confidence


def test_further_interactions_do_not_unteach_what_users_met_earlier(pairs):
    train, further = pairs[0], pairs[1][:60]
    taught = train[np.isin(train[:, 0], further[:, 0])]
    before, after = {}, {}
    for keep_seen in (True, False):
        model = MatrixFactorization(**QUICK, epochs=80, keep_seen=keep_seen).fit(tuple(train.T))
        before[keep_seen] = model.predict(taught).mean()
        model.set_params(epochs=8).partial_fit(tuple(further.T))
        after[keep_seen] = model.predict(taught).mean()
    assert after[True] > before[True] - 0.01
    assert after[False] < before[False] - 0.02  # negatives have taken what it knew for news


def test_a_model_of_ratings_does_not_go_on_with_interactions(pairs):
    ratings = MatrixFactorization(factors=8, epochs=1, threads=1)
    ratings.fit((*pairs[0].T, np.arange(len(pairs[0])) % 5))
    with pytest.raises(SettingsError, match=r"^objective: interactions: the model to start from"):
        MatrixFactorization(**QUICK).fit(tuple(pairs[0].T), init=ratings)


def test_values_that_are_no_ratings_name_the_objective(pairs):
    model = MatrixFactorization(factors=2, epochs=1, threads=1)
    counts = np.random.default_rng(0).geometric(0.02, len(pairs[0])) ** 2
    for values in (np.ones(len(pairs[0])), counts):
        with pytest.warns(RatingsWarning, match="the objective interactions"):
            model.fit((*pairs[0].T, values))


def test_counts_ask_for_their_logarithm(pairs):
    counts = np.random.default_rng(0).geometric(0.02, len(pairs[0])) ** 2
    with pytest.warns(RatingsWarning, match="set confidence to log1p"):
        MatrixFactorization(**QUICK, epochs=1).fit((*pairs[0].T, counts))
    model = MatrixFactorization(**QUICK, epochs=1, confidence="log1p")
    model.fit((*pairs[0].T, counts))


@pytest.mark.filterwarnings("error")
def test_interactions_are_not_warned_of(pairs):
    MatrixFactorization(**QUICK, epochs=1).fit((*pairs[0].T, np.arange(len(pairs[0])) ** 2))


@pytest.mark.parametrize("method", ["fp16", "int8", "mascot-int8"])
def test_fewer_bits_give_lists_as_good(method, pairs, fitted):
    train, test = (tuple(part.T) for part in pairs)
    best = MatrixFactorization(**QUICK, method="fp32").fit(train).score(test)
    assert MatrixFactorization(**QUICK, method=method).fit(train).score(test) > best - 0.03


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"confidence": "equal"}, {"confidence": "values"}, "confidence: values: .* has equal"),
        ({}, {"loss": "logistic"}, "loss: logistic: .* has squared"),
    ],
)
def test_further_training_keeps_what_scores_are_units_of(pairs, before, after, words):
    model = MatrixFactorization(**QUICK | before, epochs=1).fit(tuple(pairs[0].T))
    model.set_params(**after)
    with pytest.raises(SettingsError, match=words):
        model.partial_fit(tuple(pairs[1].T))


def test_a_log_of_plays_is_advised_as_its_counts_are():
    plays = np.random.default_rng(0).zipf(1.6, 400).clip(1, 300)
    users, items = np.arange(400) % 40, np.arange(400) // 40 + np.arange(400) % 7
    with pytest.warns(RatingsWarning, match="set confidence to log1p"):
        MatrixFactorization(**QUICK, epochs=1).fit(
            (np.repeat(users, plays), np.repeat(items, plays), np.ones(plays.sum()))
        )


def test_a_projected_model_says_how_to_start_from_it(pairs):
    pruning = {"method": "project", "factors": 4}
    model = MatrixFactorization(**QUICK, epochs=4, pruning=pruning).fit(tuple(pairs[0].T))
    again = MatrixFactorization(**QUICK, epochs=4, pruning=pruning)
    with pytest.raises(SettingsError, match="set factors to that, and pruning to None"):
        again.fit(tuple(pairs[0].T), init=model)
    again.set_params(factors=4, pruning=None).fit(tuple(pairs[0].T), init=model)
