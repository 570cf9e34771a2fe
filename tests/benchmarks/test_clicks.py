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


def test_ids_are_of_their_fields_tables():
    work = clicks.make_workload(40_000, 16, 3)
    assert work.categories.shape == (3, 16, 26)
    assert (work.categories < np.array(work.rows)).all()
    assert work.rows[8] == 3
