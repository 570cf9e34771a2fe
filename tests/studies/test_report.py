"""The report of the recorded results, and of results that are changed to be what is wanted."""

import json
import math
import re
from html.parser import HTMLParser

import pytest

from mascot_jax.errors import DataError
from studies.paper.core.records import write_records
from studies.paper.report import published
from studies.paper.report.__main__ import write
from studies.paper.report.figures import CHARTS, draw, front, svg
from studies.paper.report.results import SHOWN, joined, load, load_beside, shown_rows
from studies.paper.report.tables import show, table
from tests.pipeline.workspace import CHECKOUT

RECORDED = CHECKOUT / "studies/paper/recorded/ml-1m"
BESIDE = sorted(path for path in RECORDED.parent.iterdir() if path != RECORDED)
"""Profiles that have some of the figures, in the same report."""
FIGURES = sorted({shown.figure for shown in SHOWN.values()})
TABLES = (
    "table1", "fig7", "fig4", "fig5", "fig8", "fig9", "fig10", "table2", "tests", "fig11", "beyond",
    "pruning",
)  # fmt: skip
"""In the order of the page."""


@pytest.fixture(scope="module")
def recorded():
    own, others = load(RECORDED, FIGURES), load_beside(BESIDE, FIGURES)
    return {name: joined(result, others[name]) for name, result in own.items()}


def change(value, data, repetitions):
    """Results of another data set, with fewer repetitions, and no interval if there is one."""
    if isinstance(value, list):
        return [change(each, data, repetitions) for each in value]
    if not isinstance(value, dict):
        return value
    changed = {name: change(each, data, repetitions) for name, each in value.items()}
    if "data" in value and "sets" not in value:
        changed["data"] = data
    if "values" in value:
        changed["values"] = value["values"][:repetitions]
        changed |= {"low": None, "high": None} if repetitions == 1 else {}
    return changed


class Page(HTMLParser):
    """A page's elements, and its tables as rows of texts; raises where a tag is not closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.tables, self._open = [], [], []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in ("meta", "img"):
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, text):
        if {"td", "th"} & set(self._open):
            self.tables[-1][-1][-1] += text


@pytest.fixture(scope="module")
def page():
    return Page((RECORDED / "report/report.html").read_text(encoding="utf-8"))


def printed(cell):
    """The numbers in a cell, each with how far its last digit lets it be off."""
    plain = (x.replace("−", "-") for x in re.findall(r"[+−]?\d+(?:\.\d+)?", cell.replace(",", "")))
    return [(float(x), 0.5001 * 10.0 ** -len(x.partition(".")[2])) for x in plain]


def says(cell, *values):
    numbers = printed(cell)
    return len(numbers) == len(values) and all(
        abs(number - value) <= off for (number, off), value in zip(numbers, values, strict=True)
    )


def rows_in_file(name):
    if name == "tests":
        return json.loads((RECORDED / "table2.json").read_text())["tests"]
    content = json.loads((RECORDED / f"{name}.json").read_text())
    for folder in BESIDE:
        if (folder / f"{name}.json").exists():
            content["rows"] += json.loads((folder / f"{name}.json").read_text())["rows"]
    if name == "fig5":
        return [row for row in content["rows"] if row["epoch"] in (0, 49)]
    return content["final" if name == "fig8" else "rows"]


@pytest.mark.parametrize("name", TABLES)
def test_every_measured_number_is_in_its_row(page, name):
    cells_of_rows = page.tables[TABLES.index(name)][1:]
    rows = rows_in_file(name)
    assert len(cells_of_rows) == len(rows) + (4 if name == "table1" else 0)
    worked_out = name in ("fig9", "table2")  # one column is
    for row, cells in zip(rows, cells_of_rows, strict=False):
        measured = sum(isinstance(value, dict) and "mean" in value for value in row.values())
        assert sum("±" in cell for cell in cells) == measured + worked_out
        for field, value in row.items():
            if isinstance(value, dict) and "mean" in value:
                half_width = (value["high"] - value["low"]) / 2
                assert any(says(cell, value["mean"], half_width) for cell in cells), field
            elif field in ("users", "items", "ratings", "factors", "groups", "period", "quartile"):
                assert any(says(cell, value) for cell in cells), field
            elif field in ("half_share", "sample_ratio", "sparsity"):
                assert any(says(cell, 100 * value) for cell in cells), field


def test_what_follows_from_the_files_is_right(page):
    def seconds(name, **fields):
        (row,) = (row for row in rows_in_file(name) if fields.items() <= row.items())
        return row["seconds"]["values"]

    def ratio(above, below):
        return sum(a / b for a, b in zip(above, below, strict=True)) / len(above)

    n2 = ratio(seconds("fig9", variant="mascot-n2"), seconds("fig9", variant="mascot-n1"))
    row = page.tables[TABLES.index("fig9")][3]
    assert says(row[5].split(" ± ")[0], n2)
    chosen = seconds("table2", period=2, sample_ratio=0.05)
    relative = ratio(chosen, seconds("table2", period=1, sample_ratio=1.0))
    row = page.tables[TABLES.index("table2")][8]
    assert says(row[7].split(" ± ")[0], relative)
    words = [row[6] for row in page.tables[TABLES.index("fig8")][1:]]
    assert words[4].startswith("8 bits from epoch 0, 12 bits from epoch 7, ")
    assert words[7] == "38 % of row visits switched by epoch 46"


def test_the_papers_values_stand_beside_ours(page):
    def paper(name, column, *names):
        header, *rows = page.tables[TABLES.index(name)]
        (row,) = (row for row in rows if row[: 1 + len(names)] == ["ml-1m", *names])
        return row[header.index(f"Paper: {column}")]

    assert paper("fig7", "Relative time", "MASCOT", "128") == "0.55"
    assert paper("fig7", "Relative time", "MASCOT", "64") == ""
    assert paper("fig7", "Relative time", "MuPPET", "64") == "1.5964"
    assert paper("fig7", "Relative time", "MuPPET", "128") == "slower"
    assert paper("fig7", "Seconds", "FP32", "128") == "1.25 (read off)"
    assert paper("fig8", "Test RMSE", "MASCOT") == "comparable"
    assert paper("fig9", "Time to N1's", "MASCOT-N2") == "1.34"
    assert paper("fig10", "Relative time", "opt", "100") == "0.9"
    assert paper("table2", "Test RMSE", "2", "5 %") == "0.7853"
    assert paper("table2", "Relative time", "2", "5 %") == "0.731"
    assert paper("tests", "p", "seconds") == "below 0.05"
    assert page.tables[0][-1] == [
        "Yahoo!Music (paper)", "1,000,990", "624,961", "256,804,235", "99.96 %",
    ]  # fmt: skip


def test_a_data_set_of_the_paper_has_its_own_values(recorded):
    results = change(recorded, "ml-10m", 1)
    text = {name: table(SHOWN[name], shown_rows(SHOWN[name], results)) for name in TABLES}
    assert not any("±" in each for each in text.values())  # of one repetition
    assert re.search(r"\| opt \| 100 \|.* \| 0\.86 \|", text["fig10"])
    assert re.search(r"\| MASCOT \|[^|]+\| 0\.7853 \|", text["fig8"])
    results = change(recorded, "netflix", 5)
    text = table(SHOWN["table2"], shown_rows(SHOWN["table2"], results))
    assert "| netflix | 4 | 20 % | 0.8629 ± 0.0012 | 0.9152 | 1.77 ± 0.32 | 10.32 |" in text


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
        cells = [
            published.VALUES[f"table2/{period}/{ratio}/{data}/{kind}"]
            for period in published.PERIODS
            for ratio in published.SAMPLE_RATIOS
        ]
        assert sum(cells) == pytest.approx(total, abs=1e-6)


def test_published_cells_are_where_the_paper_has_them():
    values = {path: published.VALUES[f"table2/{path}"] for path in (
        "1/0.01/ml-10m/rmse", "8/1.0/ml-10m/seconds", "1/0.05/ml-25m/seconds",
        "1/1.0/yahoo-music/seconds", "2/0.05/yahoo-music/seconds",
    )}  # fmt: skip
    assert list(values.values()) == [0.7861, 0.69, 1.19, 65.92, 35.27]


def test_the_recorded_report_is_that_of_the_recorded_results(tmp_path):
    folder = tmp_path / "ml-1m"
    for name, content in load(RECORDED, FIGURES).items():
        write_records(folder / f"{name}.json", content)
        assert (folder / f"{name}.json").read_bytes() == (RECORDED / f"{name}.json").read_bytes()
    write(folder, *BESIDE)
    for name in ("report.md", "report.html"):
        assert (folder / "report" / name).read_text() == (RECORDED / "report" / name).read_text()
    pictures = {path.name for path in (folder / "report/figures").iterdir()}
    assert pictures == {path.name for path in (RECORDED / "report/figures").iterdir()}
    assert pictures == {f"{name}.svg" for name in CHARTS}


def test_another_profile_stands_beside_the_first(tmp_path):
    folder, other = tmp_path / "ml-1m", tmp_path / "netflix-shape"
    for name, content in load(RECORDED, FIGURES).items():
        write_records(folder / f"{name}.json", content)
        if name in ("fig4", "fig7"):
            content = change(content, "synthetic netflix", 3) | {"profile": "netflix-shape"}
            write_records(other / f"{name}.json", content)
    write(folder, other)
    page = Page((folder / "report/report.html").read_text(encoding="utf-8"))
    for name in ("fig4", "fig7"):
        header, *rows = page.tables[TABLES.index(name)]
        half = len(rows) // 2
        assert [row[0] for row in rows] == ["ml-1m"] * half + ["synthetic netflix"] * half
    papers = {(row[0], *row[1:3]): row[header.index("Paper: Seconds")] for row in rows}
    assert papers["ml-1m", "MASCOT", "128"] == "0.68"
    assert papers["synthetic netflix", "MASCOT", "128"] == "10.06"  # as of Netflix itself
    text = (folder / "report/report.md").read_text(encoding="utf-8")
    assert "- Data of profile netflix-shape: synthetic netflix\n" in text
    assert "synthetic netflix, k 128" in (folder / "report/figures/fig7.svg").read_text()


def test_a_folder_of_nothing_is_refused(tmp_path):
    with pytest.raises(DataError, match="has no results; run stages"):
        load_beside([tmp_path], FIGURES)


def test_the_page_needs_nothing_but_its_pictures(page):
    images = [attributes for tag, attributes in page.elements if tag == "img"]
    assert len(images) == len(CHARTS) == 11
    for image in images:
        assert (RECORDED / "report" / image["src"]).is_file()
        assert len(image["alt"]) > 40
    tags = [tag for tag, _ in page.elements]
    assert not set(tags) & {"script", "link", "iframe", "object", "a", "svg"}
    assert all("://" not in (v or "") for _, each in page.elements for v in each.values())
    assert (tags.count("h1"), tags.count("h2"), tags.count("table")) == (1, 11, len(TABLES))
    assert all(each["scope"] == "col" for tag, each in page.elements if tag == "th")
    before = [tags[place - 2 : place] for place, tag in enumerate(tags) if tag == "table"]
    assert before == [["p", "strong"]] * len(TABLES)  # its caption
    assert dict(page.elements[1:2]) == {"head": {}}
    assert page.elements[0] == ("html", {"lang": "en"})


@pytest.mark.parametrize("name", CHARTS)
def test_a_figure_shows_every_mean_and_interval(recorded, name):
    chart = CHARTS[name]
    rows = shown_rows(SHOWN[chart.shown], recorded)
    drawn = [
        point
        for panel in draw(chart, rows)["concat"]
        for layer in panel["layer"]
        for point in layer["data"]["values"]
    ]
    for field in chart.y:
        for row in rows:
            value = row[field]
            if isinstance(value, dict):
                found = (point for point in drawn if point["y"] == value["mean"])
                assert any((x["low"], x["high"]) == (value["low"], value["high"]) for x in found)
            else:
                assert any(point["y"] == value for point in drawn)
    papers = {row["paper"].get(field) for row in rows for field in chart.y}
    papers = {paper for paper in papers if isinstance(paper, float)}
    assert {point["paper"] for point in drawn if "paper" in point} == papers


@pytest.mark.parametrize("repetitions", [1, 2])
def test_any_number_of_repetitions_can_be_drawn(recorded, repetitions):
    results = change(recorded, "netflix", repetitions)
    for name in ("fig4", "fig9", "pareto"):
        picture = svg(draw(CHARTS[name], shown_rows(SHOWN[CHARTS[name].shown], results)))
        assert "netflix" in picture
        assert not re.search(r'(?:href|src)="(?!#)', picture)


def test_what_is_not_finite_is_said_and_not_drawn(recorded):
    rows = shown_rows(SHOWN["fig4"], recorded)
    rows[1]["relative_time"] = {"mean": math.nan, "low": math.nan, "high": math.nan, "values": []}
    assert "| 20 % | 0.0353 ± 0.0095 | not finite ± not finite |" in table(SHOWN["fig4"], rows)
    panel, *_ = draw(CHARTS["fig4"], rows)["concat"]
    assert all(len(layer["data"]["values"]) in (0, 4) for layer in panel["layer"])


def test_the_front_is_what_nothing_beats():
    a, b, c, d = ({"x": x, "y": y} for x, y in ((1.0, 0.86), (0.5, 0.87), (0.5, 0.88), (1.0, 0.86)))
    assert front([a, b, c]) == [b, a]
    assert front([a, d]) == [a, d]  # equals do not beat each other


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("loss", 0.00123, "+0.0012"),
        ("loss", -0.00001, "0.0000"),
        ("loss", {"mean": -0.00123, "low": -0.00133, "high": -0.00113}, "−0.0012 ± 0.0001"),
        ("seconds", {"mean": 0.03392, "low": None, "high": None}, "0.0339"),
        ("seconds", 932.56, "933"),
        ("difference", -3.716, "−3.72"),
        ("p_value", 0.00003, r"\< 0.0001"),
        ("p_value", None, "–"),
        ("significant", False, "no"),
        ("data", "my_set", r"my\_set"),
    ],
)
def test_numbers_are_printed_to_what_is_worth_reading(field, value, text):
    assert show(field, value) == text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "fig7.json: is missing; run its stage"),
        ("{", "fig7.json: is no JSON"),
        ("[]", "fig7.json: has no rows"),
        ('{"profile": "paper", "rows": []}', "fig7.json: is of profile 'paper', not 'quick'"),
    ],
)
def test_other_files_are_refused(tmp_path, content, said):
    folder = tmp_path / "quick"
    folder.mkdir()
    if content is not None:
        (folder / "fig7.json").write_text(content)
    with pytest.raises(DataError, match=re.escape(said)):
        load(folder, ["fig7"])


def test_a_row_without_what_it_needs_is_named():
    results = {"fig7": {"rows": [{"data": "x", "factors": 64, "method": "fp32"}]}}
    with pytest.raises(DataError, match=r"fig7.json: lacks 'seconds'; repeat the stage"):
        shown_rows(SHOWN["fig7"], results)


def test_figures_in_the_documentation_are_the_recorded_ones():
    report = (RECORDED / "report/report.md").read_text(encoding="utf-8")
    said = (CHECKOUT / "docs/study.md").read_text(encoding="utf-8")
    numbers = re.findall(r"[+−]?\d[\d.]* ± [\d.]*\d", said)
    assert len(numbers) > 5
    assert all(f"| {number} |" in report for number in numbers)
