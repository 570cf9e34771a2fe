"""Checkpoints of a training that begins with ids, and with an earlier model."""

import numpy as np
import pytest

from mascot_jax.errors import CheckpointError, DivergenceError
from mascot_jax.mf.fit import fit_ratings
from mascot_jax.mf.interactions import read_interactions
from mascot_jax.mf.model_file import save_model
from mascot_jax.settings import RegroupSettings, RunSettings, TrainSettings

GROUPS = RegroupSettings(user_groups=4, item_groups=4)
SETTINGS = TrainSettings(factors=8, epochs=4, deterministic=True, biases=False)
RUN = RunSettings(checkpoint_every=2)


def interactions(seed=0):
    rng = np.random.default_rng(seed)
    return read_interactions(
        (rng.integers(0, 40, 600), rng.integers(0, 30, 600), rng.integers(1, 6, 600))
    )


def fit(ratings=None, run=RUN, more=None, **keep):
    """A model of these ratings, or of the usual ones; ``more``: other settings."""
    settings = SETTINGS.model_copy(update=more)
    return fit_ratings(ratings or interactions(), settings, GROUPS, run, **keep)


def stop_after(epoch):
    return lambda record, _: record.epoch == epoch


@pytest.fixture(scope="module")
def earlier():
    return fit(more={"epochs": 1})


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("last", [0, 2])
def test_going_on_ends_in_the_same_bytes(earlier, tmp_path, warm, last):
    start = {"earlier": earlier if warm else None}
    whole = save_model(fit(**start), tmp_path / "whole")
    keep = {"checkpoint": tmp_path / "checkpoint", **start}
    part = fit(on_epoch=stop_after(last), **keep)
    assert part.epochs_trained == last + 1
    epochs = []
    again = fit(**keep, resume=True, on_epoch=lambda record, _: epochs.append(record.epoch))
    assert epochs == list(range(last + 1, 4))
    assert save_model(again, tmp_path / "again") == whole


def test_where_it_began_is_part_of_a_checkpoint(earlier, tmp_path):
    keep = {"checkpoint": tmp_path / "checkpoint"}
    fit(on_epoch=stop_after(1), **keep)
    with pytest.raises(CheckpointError, match="other origin of the factors"):
        fit(earlier=earlier, resume=True, **keep)
    with pytest.raises(CheckpointError, match=r"other .*ratings"):
        fit(interactions(seed=1), resume=True, **keep)


def test_without_resume_it_starts_anew(tmp_path):
    keep = {"checkpoint": tmp_path / "checkpoint"}
    fit(on_epoch=stop_after(1), **keep)
    epochs = []
    fit(**keep, on_epoch=lambda record, _: epochs.append(record.epoch))
    assert epochs == [0, 1, 2, 3]


def test_null_keeps_nothing(tmp_path):
    fit(run=RunSettings(checkpoint_every=None), checkpoint=tmp_path / "checkpoint")
    assert list(tmp_path.iterdir()) == []


def test_null_goes_on_but_keeps_nothing(tmp_path):
    checkpoint = tmp_path / "checkpoint"
    fit(on_epoch=stop_after(1), checkpoint=checkpoint)
    before, epochs = checkpoint.read_bytes(), []
    fit(
        run=RunSettings(checkpoint_every=None), checkpoint=checkpoint, resume=True,
        on_epoch=lambda record, _: epochs.append(record.epoch),
    )  # fmt: skip
    assert epochs == [2, 3]
    assert checkpoint.read_bytes() == before


@pytest.mark.parametrize("run", [{"threads": 2}, {"backend": "cpu"}, {"checkpoint_every": 3}])
def test_how_it_runs_is_no_part_of_a_model_or_a_checkpoint(tmp_path, run):
    whole = save_model(fit(), tmp_path / "model")
    other, checkpoint = RunSettings(**run), tmp_path / "checkpoint"
    assert save_model(fit(run=other), tmp_path / "model") == whole
    fit(on_epoch=stop_after(1), checkpoint=checkpoint)
    resumed = fit(run=other, checkpoint=checkpoint, resume=True)
    assert save_model(resumed, tmp_path / "model") == whole


@pytest.mark.parametrize(("biases", "users", "fitted"), [
    (None, 5, False), (None, 40, True), (False, 40, False), (True, 5, True),
])  # fmt: skip
def test_biases_are_fitted_where_ratings_are_few(biases, users, fitted):
    rng = np.random.default_rng(0)
    ratings = (rng.integers(0, users, 600), rng.integers(0, 5, 600), rng.integers(1, 6, 600))
    model = fit(read_interactions(ratings), more={"biases": biases})
    assert (model.biases is not None) == fitted
    assert model.settings.biases is fitted


def test_an_earlier_model_decides_about_biases(earlier):
    assert fit(more={"biases": None}).biases is not None
    assert earlier.biases is None
    assert fit(more={"biases": None}, earlier=earlier).biases is None


def test_divergence_on_a_wide_scale_says_so():
    users, items = np.arange(600) % 40, np.arange(600) % 30
    wide = read_interactions((users, items, np.linspace(0, 1e4, 600)))
    with pytest.raises(DivergenceError, match=r"from 0 to 10000: .* with \S*recipe tuned, .* any"):
        fit(wide)
