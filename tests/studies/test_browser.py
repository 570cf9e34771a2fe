"""Opens the report in a real browser that has no network."""

import pytest

from tests.studies import chromium

pytestmark = pytest.mark.browser

DRAWN = """
[...document.querySelectorAll('figure')].map(figure => {
  const box = figure.querySelector('svg').getBoundingClientRect();
  const marks = [...figure.querySelectorAll('svg :is(path, line, text, rect)')].filter(mark => {
    const { width, height } = mark.getBoundingClientRect();
    return width + height > 0 && getComputedStyle(mark).visibility === 'visible';
  });
  const texts = [...figure.querySelectorAll('svg text')].map(t => t.textContent).join(' ');
  return { width: box.width, height: box.height, marks: marks.length, texts };
})
"""
DESKTOP, PHONE = (1100, 900), (390, 844)


@pytest.fixture(scope="module")
def report(quick):
    return quick / "report/report.html"


@pytest.fixture
def tab():
    with chromium.browser() as page:
        yield page


def resize(tab, size, scheme="light"):
    width, height = size
    tab.call(
        "Emulation.setDeviceMetricsOverride",
        width=width, height=height, deviceScaleFactor=1, mobile=size == PHONE,
    )  # fmt: skip
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    tab.call("Emulation.setEmulatedMedia", features=features)


def test_page_asks_for_nothing_and_nothing_fails(tab, report):
    tab.open(report)
    assert tab.requests() == [report.as_uri()]
    assert tab.failures() == []


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_all_figures_are_drawn_within_the_page(tab, report, size, scheme):
    resize(tab, size, scheme)
    tab.open(report)
    figures = tab.evaluate(DRAWN)
    assert len(figures) == 10
    for figure in figures:
        assert 300 < figure["width"] <= size[0]
        assert figure["height"] > 100
        assert figure["marks"] > 30
        assert "synthetic ml-1m" in figure["texts"]
    # Wide tables move within their frames, the page does not.
    assert tab.evaluate("document.documentElement.scrollWidth") <= size[0]
    ink = "getComputedStyle(document.querySelector('figure svg text')).fill"
    assert tab.evaluate(ink) == tab.evaluate("getComputedStyle(document.body).color")
    assert tab.failures() == []


def test_a_page_that_asks_for_more_is_seen(tab, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        "<link rel=icon href='data:,'><img src='https://example.org/a.png'>"
        "<script>console.error('wrong'); nowhere()</script>"
    )
    tab.open(page)
    assert tab.requests()[-1] == "https://example.org/a.png"
    kinds = {next(iter(failure.keys())) for failure in tab.failures()}
    assert len(tab.failures()) >= 3, kinds


def test_without_a_browser_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(RuntimeError, match=r"none of chromium.* run \.ci/browser"),
        chromium.browser(),
    ):
        pass
