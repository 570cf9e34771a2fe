import json
import re
import shutil

import pytest

from mascot_jax.errors import DataError
from studies.paper import published
from studies.paper.report.__main__ import write
from studies.paper.report.results import NAMES, load
from tests.studies.made_up import write_results
from tests.studies.pages import Page, printed


@pytest.fixture(scope="module")
def page(quick):
    return Page((quick / "report/report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def papers_own(tmp_path_factory):
    """A page of one of the paper's own data sets, with a single repetition."""
    folder = tmp_path_factory.mktemp("study") / "paper"
    write_results(folder, data=["netflix"], epochs=3, repetitions=1)
    write(folder, folder / "report")
    return folder


def look_up(folder, place):
    """What stands at ``fig7.json#/rows/3/seconds``."""
    name, pointer = place.split("#/")
    value = json.loads((folder / name).read_text())
    for key in pointer.split("/"):
        value = value[int(key) if isinstance(value, list) else key]
    return value


def check_measured(folder, cell):
    """A cell says what the files say, to its last digit."""
    places = cell.attributes["data-from"].split()
    values = [look_up(folder, place) for place in places]
    numbers = printed(cell.text)
    if len(values) == 2:  # a quotient
        expected = [values[0]["mean"] / values[1]["mean"]]
    elif places[0].endswith("/events"):
        known = [number for event in values[0] for number in event.values() if number is not None]
        known += [100 * number for number in known] + [32]  # shares in per cent; FP32
        expected = [min(known, key=lambda k: abs(k - number)) for number, _ in numbers]
    elif isinstance(values[0], dict):
        sure = values[0]["low"] is not None
        half_width = (values[0]["high"] - values[0]["low"]) / 2 if sure else None
        expected = [values[0]["mean"], *([half_width] if sure else [])]
    elif cell.text.startswith("<"):
        assert values[0] < numbers[0][0]
        return
    elif isinstance(values[0], bool):
        assert cell.text == ("yes" if values[0] else "no")
        return
    else:
        expected = [100 * values[0] if cell.text.endswith("%") else values[0]]
    assert len(numbers) == len(expected), cell
    for (number, off), value in zip(numbers, expected, strict=True):
        assert abs(number - value) <= off, cell


def check_published(cell):
    values = [published.VALUES[path].value for path in cell.attributes["data-paper"].split()]
    if isinstance(values[0], str):
        assert cell.text == values[0]
        return
    value = values[0] / values[1] if len(values) == 2 else values[0]
    ((number, off),) = printed(cell.text)
    assert abs(number - (100 * value if cell.text.endswith("%") else value)) <= off, cell
    assert ("read off" in cell.text) == published.VALUES[cell.attributes["data-paper"]].read_off


@pytest.mark.parametrize("fixture", ["quick", "papers_own"])
def test_every_number_in_a_table_is_the_one_in_the_files(fixture, request):
    folder = request.getfixturevalue(fixture)
    page = Page((folder / "report/report.html").read_text(encoding="utf-8"))
    measured = paper = 0
    for table in page.tables:
        for cell in (cell for row in table[1:] for cell in row):
            if "data-from" in cell.attributes:
                check_measured(folder, cell)
                measured += 1
            elif "data-paper" in cell.attributes:
                if " " not in cell.attributes["data-paper"]:
                    check_published(cell)
                paper += 1
            elif "scope" not in cell.attributes:
                assert not printed(cell.text), f"{cell} is from nowhere"
    assert measured > 250
    assert paper > 90


def test_every_measured_quantity_is_in_a_table(quick, page):
    shown = {
        place
        for cell in page.cells
        for place in cell.attributes.get("data-from", "").split()
    }  # fmt: skip
    for name in set(NAMES) - {"fig5", "fig8"}:  # of whose curves the ends are shown
        for part in ("rows", "tests"):
            rows = json.loads((quick / f"{name}.json").read_text()).get(part, [])
            for place, row in enumerate(rows):
                for key, value in row.items():
                    if isinstance(value, dict) and "mean" in value:
                        assert f"{name}.json#/{part}/{place}/{key}" in shown


def test_what_the_text_says_of_the_paper_is_published(page):
    text = " ".join(page.texts)
    known = {value.value for value in published.VALUES.values()} | {100}  # groups, of Fig. 10
    said = re.findall(r"\(the paper[^)]*?([\d.]+)\)", text)
    assert len(said) >= 3
    assert {float(number) for number in said} <= known


@pytest.mark.parametrize(
    ("data", "rmse", "seconds"),
    [
        ("ml-10m", 18.8416, 16.83),
        ("ml-25m", 18.3937, 49.58),
        ("netflix", 21.9767, 260.33),
        ("yahoo-music", 21.6241, 932.56),
    ],
)
def test_published_cells_add_up(data, rmse, seconds):
    """Sums over the table in the paper's own text, which no cell copied wrongly would leave."""
    for kind, total in (("rmse", rmse), ("seconds", seconds)):
        paths = [
            f"{published.cell(data, period, ratio)}/{kind}"
            for period in published.PERIODS
            for ratio in published.SAMPLE_RATIOS
        ]
        assert sum(map(published.number, paths)) == pytest.approx(total, abs=1e-6)


def test_published_tables_are_whole():
    cells = [path for path in published.VALUES if path.startswith("table2/")]
    assert len(cells) == 4 * 24 * 2 + 1
    assert published.number("table2/ml-10m/1/0.01/rmse") == 0.7861
    assert published.number("table2/ml-10m/8/1.0/seconds") == 0.69
    assert published.number("table2/ml-25m/1/0.05/seconds") == 1.19  # as printed
    assert published.number("table2/netflix/4/0.2/rmse") == 0.9152
    assert published.number("table2/yahoo-music/1/1.0/seconds") == 65.92
    assert published.number("table2/yahoo-music/2/0.05/seconds") == 35.27
    assert published.number("table1/netflix/ratings") == 100_480_507


def test_same_results_give_the_same_bytes(quick, tmp_path):
    again = tmp_path / "report"
    write(quick, again)
    names = sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert len(names) >= 12
    for name in names:
        assert (again / name).read_bytes() == (quick / "report" / name).read_bytes(), name


def test_what_has_not_been_run_is_said(quick, tmp_path):
    folder = tmp_path / "quick"
    folder.mkdir()
    shutil.copy(quick / "fig4.json", folder)
    write(folder, folder / "report")
    page = Page((folder / "report/report.html").read_text(encoding="utf-8"))
    assert page.texts.count("Not run.") == 9
    assert [tag for tag, _ in page.elements].count("figure") == 1
    assert sum("not run" in text for text in page.texts) == 4  # the four questions
    pictures = folder / "report/figures"
    (folder / "fig4.json").unlink()
    write(folder, folder / "report")
    assert list(pictures.iterdir()) == []


def test_page_needs_nothing_else(page):
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "img", "iframe", "object", "image", "use", "foreignobject"}
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            if name in ("href", "src", "xlink:href"):
                assert value == "data:," or value.removeprefix("#") in ids, (tag, value)
            for url in re.findall(r"url\(#([^)]*)\)", value or ""):
                assert url in ids
            assert name.startswith("xmlns") or "://" not in (value or "")


def test_figures_say_what_they_show(page):
    pictures = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert len(pictures) == 10
    for picture in pictures:
        assert picture["role"] == "img"
        assert len(picture["aria-label"]) > 40


def test_markdown_has_the_same_tables_and_its_pictures(quick, page):
    text = (quick / "report/report.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert len(pictures) == 10
    assert all((quick / "report" / picture).is_file() for picture in pictures)
    for cell in page.cells:
        if "data-from" in cell.attributes or "data-paper" in cell.attributes:
            assert cell.text.replace("<", "\\<") in text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "fig7.json: is no JSON"),
        ("[]", "fig7.json: has no rows"),
        ('{"profile": "paper", "rows": []}', "fig7.json: is of profile 'paper', not 'quick'"),
    ],
)
def test_other_files_are_refused(tmp_path, content, said):
    (tmp_path / "fig7.json").write_text(content)
    with pytest.raises(DataError, match=re.escape(said)):
        load(tmp_path, "quick")


def test_a_row_without_what_it_needs_is_named(tmp_path):
    content = {"profile": "quick", "rows": [{"data": "x", "factors": 64, "method": "fp32"}]}
    (tmp_path / "fig7.json").write_text(json.dumps(content))
    (row,) = load(tmp_path, "quick").rows("fig7")
    with pytest.raises(DataError, match=r"fig7.json#/rows/0: has no 'seconds'"):
        row.quantity("seconds")
    with pytest.raises(DataError, match=r"fig7.json#/rows/0/data: is no measured quantity: 'x'"):
        row.quantity("data")
