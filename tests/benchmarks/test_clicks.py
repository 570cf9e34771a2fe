import json

import numpy as np

from benchmarks import clicks


def test_the_steps_of_all_variants_are_timed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(clicks, "find_spec", lambda name: None)  # without the extra
    monkeypatch.setattr(clicks, "usable_cores", lambda: 2)
    path = tmp_path / "found.json"
    words = ["--rows", "30000", "--batch", "32", "--part", "tables", "--rounds", "1"]
    clicks.main([*words, "--json", str(path)])
    found = json.loads(path.read_text())
    assert [row["variant"] for row in found["timings"]] == [
        "int4",
        "fp32",
        "int4, one thread",
        "jax",
    ]
    assert "x int4" in capsys.readouterr().out


def test_the_products_of_a_step_are_those_of_its_layers(capsys):
    words = ["--rows", "30000", "--batch", "2048", "--part", "products", "--rounds", "1"]
    clicks.main(words)
    assert "NumPy's BLAS" in capsys.readouterr().out
    products = list(clicks._products_of_layers(32, 26))
    assert len(products) == 3 * 7 - 1  # nobody needs the gradient of the first layer's inputs
    shapes = [np.matmul(*p.turned(p.operands)).shape for p in products]
    assert shapes[:3] == [(32, 512), (13, 512), (32, 256)]
    assert shapes[-3:] == [(32, 1), (256, 1), (32, 256)]


def test_ids_are_of_their_fields_tables():
    work = clicks.make_workload(40_000, 16, 3)
    assert work.categories.shape == (3, 16, 26)
    assert (work.categories < np.array(work.rows)).all()
    assert work.rows[8] == 3
