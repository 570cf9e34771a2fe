"""The three plots are Vega-Lite that renders offline, with every fold's data."""

import json
import xml.etree.ElementTree as ET

import pytest
import vl_convert

SVG = "{http://www.w3.org/2000/svg}"
TITLES = {
    "convergence": {"epoch", "test RMSE", "fold"},
    "switched": {"epoch", "share of groups in FP32", "fold", "side", "users", "items"},
    "q_error": {"epoch", "group, most-rated first", "users", "items"},
}

MARKS = {
    "convergence": 4,  # two views of two folds
    "switched": 4,  # two sides of two folds
    "q_error": 3 * (6 + 4),  # measured epochs x groups
}


@pytest.fixture(scope="module", params=sorted(TITLES))
def plot(request, reproduced):
    """A plot's name and its Vega-Lite, as DVC fills the template."""
    shown = reproduced.dvc("plots", "show", "--show-vega", request.param)
    return request.param, json.loads(shown)


def test_no_placeholder_is_left(plot):
    assert "DVC_METRIC" not in json.dumps(plot[1])


def test_every_fold_is_there(plot, reproduced):
    name, spec = plot
    rows = spec["data"]["values"]
    if name == "q_error":  # groups are not the same rows in another fold
        assert {(row["side"], row["epoch"]) for row in rows} == {
            (side, epoch) for side in ("users", "items") for epoch in (5, 7, 9)
        }
    else:
        assert {row["fold"] for row in rows} == {0, 1}
        assert {row["epoch"] for row in rows} == set(range(12))
    if name == "switched":
        assert {row["side"] for row in rows} == {"users", "items"}
        assert 0 < max(row["switched"] for row in rows) <= 1


def test_it_renders_without_a_network(plot):
    name, spec = plot
    picture = vl_convert.vegalite_to_png(spec, allowed_base_urls=[])
    assert picture.startswith(b"\x89PNG")
    drawing = ET.fromstring(vl_convert.vegalite_to_svg(spec, allowed_base_urls=[]))
    texts = {"".join(node.itertext()) for node in drawing.iter(SVG + "text")}
    assert texts >= TITLES[name]
    assert texts >= {spec["title"]["text"]}
    assert "undefined" not in texts  # a field that the data do not have
    assert count_marks(drawing) == MARKS[name]


def count_marks(drawing):
    """Lines and rectangles drawn for data."""
    return sum(
        len(group.findall(SVG + "path"))
        for group in drawing.iter(SVG + "g")
        if (kind := set(group.get("class", "").split())) & {"mark-line", "mark-rect"}
        and "role-mark" in kind  # not a legend's
    )
