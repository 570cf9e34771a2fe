"""Paths and open files: one rule wherever the library reads or writes."""

import io
from pathlib import Path

import pytest

from mascot_jax import MatrixFactorization
from mascot_jax.errors import ModelFileError, PathError
from tests.support.documents import planted

RATINGS = planted()


@pytest.fixture(scope="module")
def model():
    return MatrixFactorization(factors=8, epochs=1).fit(RATINGS)


def fit(model, path):
    MatrixFactorization(factors=8, epochs=1).fit(RATINGS, checkpoint=path)


WRITERS = {
    "save": lambda model, path: model.save(path),
    "export": lambda model, path: model.export(path),
    "checkpoint": fit,
}
READERS = {"load": lambda model, path: model.load(path)}


@pytest.mark.parametrize("use", [*WRITERS, *READERS])
@pytest.mark.parametrize("place", ["s3://bucket/model", "https://here/model", Path("gs://b/m")])
def test_a_url_is_refused_everywhere(model, tmp_path, monkeypatch, use, place):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PathError, match="a URL, where a path"):
        (WRITERS | READERS)[use](model, place)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("use", WRITERS)
def test_home_is_found_and_folders_are_made_everywhere(model, tmp_path, monkeypatch, use):
    monkeypatch.setenv("HOME", str(tmp_path))
    WRITERS[use](model, "~/new/model")
    assert (tmp_path / "new" / "model").exists()


def test_home_is_found_to_load(model, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    model.save("~/model")
    assert MatrixFactorization.load("~/model").predict(1, 101) == model.predict(1, 101)


def test_open_files_are_read_and_written(model, tmp_path):
    model.save(tmp_path / "model")
    memory = io.BytesIO()
    model.save(memory)
    assert memory.getvalue() == (tmp_path / "model").read_bytes()
    memory.seek(0)
    assert MatrixFactorization.load(memory).predict(1, 101) == model.predict(1, 101)
    with (tmp_path / "model").open("rb") as file:
        assert MatrixFactorization.load(file).predict(1, 101) == model.predict(1, 101)
    with pytest.raises(ModelFileError, match="not a model file"):
        MatrixFactorization.load(io.BytesIO(b"something else"))
