"""The heads of Criteo and Avazu, Frappe and MovieLens 1M, read and encoded."""

import zipfile

import numpy as np
import pytest

from mascot_jax.clicks.encoder import encode_parts
from mascot_jax.clicks.split import divide
from tests.support.click_files import load

pytestmark = pytest.mark.realdata


def encode(raw, **settings):
    part_of = divide(raw.rows, 0.1, 0.1, "file", 0)
    return encode_parts(raw, part_of, **{"min_count": 2} | settings)


def test_the_head_of_criteo(tmp_path, real_data):
    raw = load(tmp_path, name="criteo", source=str(real_data / "clicks/criteo_head_lapis.txt"))
    parts = encode(raw)
    assert [len(part) for part in parts.data.values()] == [5760, 720, 720]
    assert parts.report["fields"]["C9"]["ids"] == 3
    dense = parts.data["train"].dense
    assert dense.shape[1] == 13
    assert dense.min() == 0


def test_the_head_of_criteo_with_a_header(tmp_path, real_data):
    columns = {"label": "Label", "dense": ["I1..I13"], "categories": ["C1..C26"]}
    source = str(real_data / "clicks/criteo_tiny_ycjuan.csv")
    head = load(
        tmp_path / "a", name="criteo", source=str(real_data / "clicks/criteo_head_lapis.txt")
    )
    raw = load(tmp_path / "b", name="file", source=source, columns=columns)
    assert raw.rows == 1999
    assert next(raw.frames()).row(0) == next(head.frames()).row(0)


def test_the_head_of_avazu(tmp_path, real_data):
    raw = load(tmp_path, name="avazu", source=str(real_data / "clicks/avazu_head_lapis.csv"))
    parts = encode(raw)
    assert raw.rows == 8087
    assert parts.data["train"].dense.shape[1] == 0
    assert parts.data["train"].fields == 23
    assert 0.15 < np.mean(parts.data["train"].labels) < 0.2


def test_frappe(tmp_path, real_data):
    raw = load(tmp_path, name="libfm", source=str(real_data / "clicks"))
    assert raw.rows == 86_582
    parts = encode(raw)
    assert parts.data["train"].fields == 10
    assert [fields["ids"] for fields in parts.report["fields"].values()][2] == 7


def test_movielens_1m_as_clicks(tmp_path, real_data):
    folder = tmp_path / "ml-1m"
    with zipfile.ZipFile(real_data / "ml-1m.zip") as archive:
        archive.extractall(tmp_path)
    users = (real_data / "ml-1m-users.dat").read_text(encoding="latin-1").splitlines()
    lines = ["::".join(line.split("::")[:5]) for line in users]  # it has two more columns
    (folder / "users.dat").write_text("\n".join(lines) + "\n", encoding="latin-1")
    raw = load(tmp_path / "raw", name="ml-1m", source=str(folder))
    assert raw.rows == 1_000_209
    parts = encode(raw, min_count=1, transform="standard", count_fields=["user", "movie"])
    data = parts.data["train"]
    assert data.dense.shape[1] == 3
    np.testing.assert_allclose(data.dense.mean(0), 0, atol=1e-3)
    fields = parts.report["fields"]
    assert [fields[name]["ids"] for name in ("gender", "age", "occupation")] == [2, 7, 21]
    assert abs(np.mean(data.labels) - (348_971 + 226_310) / 1_000_209) < 0.01
